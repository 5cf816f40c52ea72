namespace Skein.Gateway.Telemetry;

/// <summary>Every value the attribute <c>outcome</c> can have.</summary>
internal static class RequestOutcomes
{
    public const string Completed = "completed";

    /// <summary>The client went away.</summary>
    public const string Cancelled = "cancelled";

    /// <summary>The gateway refused the request as it was sent.</summary>
    public const string Refused = "refused";

    public static IEnumerable<string> All => [Completed, Cancelled, Refused, .. FaultTable.All.Select(fault => fault.Client.Code)];
}
