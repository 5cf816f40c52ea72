namespace Skein.Protocol;

/// <summary>The error that an engine answered, in its own words. It contains no address.</summary>
/// <param name="Status">HTTP status, 400 to 599. For an error inside a stream: the status that its body states, else 500.</param>
/// <param name="Message">Its message, at most 4,096 characters.</param>
/// <param name="Type">Its type; null if it gave none.</param>
/// <param name="Param">The field at fault; null if it named none.</param>
/// <param name="Code">Its code, a number as its digits; null if it gave none.</param>
/// <param name="RetryAfter">Its <c>Retry-After</c>; null if it gave none.</param>
public sealed record EngineError(
    int Status, string Message, string? Type = null, string? Param = null, string? Code = null, TimeSpan? RetryAfter = null)
{
    /// <summary>Most characters of the message; longer ones are cut.</summary>
    public const int MostMessageChars = 4_096;

    /// <summary>Most characters of type, param and code; longer ones are cut.</summary>
    public const int MostFieldChars = 256;

    /// <summary>Longest <c>Retry-After</c> that is believed.</summary>
    public static readonly TimeSpan LongestRetryAfter = TimeSpan.FromDays(1);

    /// <summary>Whether the code is a number in the engine's JSON. Default: false.</summary>
    public bool CodeIsNumber { get; init; }
}
