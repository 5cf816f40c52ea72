using System.Collections.Frozen;
using Skein.Gateway.Api;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Telemetry;

/// <summary>Every value the attribute <c>outcome</c> can have.</summary>
internal static class RequestOutcomes
{
    private static readonly FrozenSet<string> Failures = new[] { SessionErrors.Internal }
        .Concat(Enum.GetValues<SessionError>().Select(SessionErrors.Face))
        .Where(face => face.Http is 429 or >= 500).Select(face => face.Code).ToFrozenSet(StringComparer.Ordinal);

    public const string Completed = "completed";

    /// <summary>The client went away.</summary>
    public const string Cancelled = "cancelled";

    /// <summary>The gateway refused the request as it was sent.</summary>
    public const string Refused = "refused";

    public static IEnumerable<string> All =>
    [
        Completed, Cancelled, Refused, SessionErrors.Internal.Code,
        .. Enum.GetValues<SessionError>().Select(error => SessionErrors.Face(error).Code),
    ];

    /// <summary>True when the gateway or its replicas are to blame, lack of capacity included.</summary>
    public static bool IsFailure(string outcome) => Failures.Contains(outcome);
}
