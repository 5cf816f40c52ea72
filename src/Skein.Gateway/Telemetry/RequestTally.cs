namespace Skein.Gateway.Telemetry;

/// <summary>Counts ended and failed requests, for the error rate of a rolling update. Thread-safe.</summary>
internal sealed class RequestTally
{
    private long _ended;
    private long _failed;

    public long Ended => Interlocked.Read(ref _ended);

    /// <summary>Requests that ended in an error that is not the client's, overload included.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    public void Count(string outcome)
    {
        // Failed first: a concurrent reader may see too many failures, never too few.
        if (FaultTable.IsFailureCode(outcome))
            Interlocked.Increment(ref _failed);
        Interlocked.Increment(ref _ended);
    }
}

/// <summary>Every value the attribute <c>outcome</c> can have.</summary>
internal static class RequestOutcomes
{
    public const string Completed = "completed";

    /// <summary>The client disconnected.</summary>
    public const string Cancelled = "cancelled";

    /// <summary>The gateway refused the request as it was sent.</summary>
    public const string Refused = "refused";

    public static IEnumerable<string> All => [Completed, Cancelled, Refused, .. FaultTable.All.Select(fault => fault.Client.Code)];
}
