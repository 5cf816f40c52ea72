using System.Globalization;

namespace Skein.Gateway.Api.Http;

/// <summary>Reads the headers (HTTP) or metadata (gRPC) that choose how a request is served. An absent header changes nothing.</summary>
internal static class SkeinRequestHeaders
{
    /// <param name="request">The request to change.</param>
    /// <param name="header">Returns a header's value by its name; null or empty if absent.</param>
    /// <exception cref="RequestRefusedException">Names the header, its value and what is allowed.</exception>
    public static void Read(GenerateRequest request, Func<string, string?> header)
    {
        if (Value(header, SkeinHeaders.Failover) is { } failover)
        {
            request.Failover = failover switch
            {
                "exact" => FailoverPolicy.Exact,
                "best-effort" => FailoverPolicy.BestEffort,
                "never" => FailoverPolicy.Never,
                _ => throw Refused(SkeinHeaders.Failover, failover, "exact, best-effort, never"),
            };
        }

        if (Value(header, SkeinHeaders.Hedge) is { } hedge)
        {
            request.Hedge = hedge switch
            {
                "1" => true,
                "0" => false,
                _ => throw Refused(SkeinHeaders.Hedge, hedge, "0, 1"),
            };
        }

        if (Value(header, SkeinHeaders.Priority) is { } priority)
        {
            request.Priority = int.TryParse(priority, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                && number >= RequestLimits.Priority.Min && number <= RequestLimits.Priority.Max
                ? number
                : throw Refused(SkeinHeaders.Priority, priority, RequestLimits.Priority.ToString());
        }
    }

    private static string? Value(Func<string, string?> header, string name) => header(name) is { Length: > 0 } value ? value : null;

    private static RequestRefusedException Refused(string name, string value, string allowed) =>
        RequestRefusedException.Invalid(name, $"'{VisibleText.Clean(value)}' is not known; allowed: {allowed}");
}
