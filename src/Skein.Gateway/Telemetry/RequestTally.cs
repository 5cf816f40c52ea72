namespace Skein.Gateway.Telemetry;

/// <summary>Counts requests and tokens, for the error rate of a rolling update and for the dashboard. Thread-safe.</summary>
internal sealed class RequestTally
{
    private long _ended;
    private long _failed;
    private long _inputTokens;
    private long _outputTokens;

    public long Ended => Interlocked.Read(ref _ended);

    /// <summary>Requests that ended in an error that is not the client's, overload included.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    /// <summary>Tokens of the prompts of requests that ended.</summary>
    public long InputTokens => Interlocked.Read(ref _inputTokens);

    /// <summary>Tokens of answers, also of running ones. A chunk of an engine that does not tell its tokens counts as one.</summary>
    public long OutputTokens => Interlocked.Read(ref _outputTokens);

    /// <summary>Time from a request's arrival to its first token.</summary>
    public RecentTimes FirstToken { get; } = new();

    /// <summary>Mean time between the tokens of an answer.</summary>
    public RecentTimes BetweenTokens { get; } = new();

    public void CountOutput(long tokens) => Interlocked.Add(ref _outputTokens, tokens);

    public void CountInput(long tokens) => Interlocked.Add(ref _inputTokens, tokens);

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
