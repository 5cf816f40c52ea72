using System.Globalization;
using System.Net;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>What a server answered to one call.</summary>
/// <param name="RetryAfter">When it wants to be asked again; null if it does not say.</param>
/// <param name="Location">Where it redirects to, for operators; null if it does not.</param>
internal readonly record struct EngineReply(HttpStatusCode Status, byte[] Body, TimeSpan? RetryAfter, string? Location = null)
{
    /// <summary>Whether the server has no such path.</summary>
    public bool IsMissing => Status is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented;

    public bool IsRedirect => (int)Status is >= 300 and <= 399;

    /// <summary>Reads <c>retry-after-ms</c>, or <c>Retry-After</c> in seconds or as a date. Waits over a day are cut, dates in the past are 0.</summary>
    public static TimeSpan? RetryAfterOf(HttpResponseMessage response, DateTimeOffset now)
    {
        if (response.Headers.TryGetValues("retry-after-ms", out var values)
            && double.TryParse(values.FirstOrDefault(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var milliseconds))
        {
            return Bounded(TimeSpan.FromMilliseconds(Math.Min(milliseconds, EngineError.LongestRetryAfter.TotalMilliseconds)));
        }

        return response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => Bounded(delta),
            { Date: { } date } => Bounded(date - now),
            _ => null,
        };
    }

    private static TimeSpan Bounded(TimeSpan wait) =>
        wait < TimeSpan.Zero ? TimeSpan.Zero : wait > EngineError.LongestRetryAfter ? EngineError.LongestRetryAfter : wait;
}
