using Skein.Protocol.V1;

namespace Skein.Protocol;

/// <summary>An attempt or a request ended with a fault. The message is meant for the client.</summary>
/// <param name="retryAfter">Time after which a retry may help. Default (null): 1 s for errors with the status 429 or 503, never for others.</param>
public sealed class FaultException(Fault fault, string message, Exception? innerException = null, LoadReport? load = null, TimeSpan? retryAfter = null)
    : Exception(message, innerException)
{
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(1);

    public Fault Fault { get; } = fault;

    /// <summary>
    /// The cause as a predicate of the engine, such as "lists no models", where the fault does not say it. Without an address. Null (the default): none.
    /// </summary>
    public string? Cause { get; init; }

    /// <summary>What the engine answered, where it answered with an error. It has priority over the fault's own error.</summary>
    public EngineError? Engine { get; init; }

    /// <summary>The field of the request that is at fault; null if none is.</summary>
    public string? Param { get; init; }

    /// <summary>The same fault of a member that the client knows by another name, in <see cref="Param"/> and at the beginning of the message.</summary>
    public FaultException ForMember(string name) => new(
        Fault, Param is { } old && Message.StartsWith(old, StringComparison.Ordinal) ? name + Message[old.Length..] : Message, this, Load, RetryAfter)
    {
        Cause = Cause, Engine = Engine, Param = name,
    };

    /// <summary>The same fault with another message for the client.</summary>
    public FaultException InWords(string message) => new(Fault, message, this, Load, RetryAfter)
    {
        Cause = Cause, Engine = Engine is null ? null : Engine with { Message = message }, Param = Param,
    };

    /// <summary>The replica's load, where it was reported with the end.</summary>
    public LoadReport? Load { get; } = load;

    /// <summary>Time after which a retry may help; null if none will.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter ?? (fault.ToClientError().Http is 429 or 503 ? DefaultRetryAfter : null);
}
