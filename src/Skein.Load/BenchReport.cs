namespace Skein.Load;

/// <summary>Result of a benchmark. Immutable.</summary>
/// <param name="Model">Requested model; empty if the server chose.</param>
/// <param name="Succeeded">Measured requests whose answer was complete and, if checked, had the expected text.</param>
/// <param name="Errors">Failed requests by kind; see <see cref="BenchErrors"/>.</param>
/// <param name="DurationSeconds">Time from the first measured request's start to the last one's end.</param>
/// <param name="TokensAreChunks">True if some answers had no usage, so that chunks were counted instead of tokens.</param>
/// <param name="TimeToFirstTokenMs">Time from a request's start to its first token.</param>
/// <param name="InterTokenMs">Time between arrivals of tokens of one answer; the maximum is the longest gap that any client saw.</param>
/// <param name="EndToEndMs">Time from a request's start to its end, for successful requests.</param>
/// <param name="FailoverGapMs">The gap before the first token after each failover; only in gRPC streams, the first 16 of each.</param>
/// <param name="LongestGapMs">The longest gap of each answer with a failover, whatever caused it.</param>
public sealed record BenchReport(
    string Target,
    string Model,
    int Concurrency,
    int Requests,
    int Succeeded,
    IReadOnlyDictionary<string, int> Errors,
    double DurationSeconds,
    long Tokens,
    bool TokensAreChunks,
    LatencySummary TimeToFirstTokenMs,
    LatencySummary InterTokenMs,
    LatencySummary EndToEndMs,
    int Failovers,
    int StreamsFailedOver,
    LatencySummary FailoverGapMs,
    LatencySummary LongestGapMs,
    IReadOnlyList<string> Examples)
{
    public double TokensPerSecond => DurationSeconds > 0 ? Tokens / DurationSeconds : 0;

    /// <summary>Finished requests per second, failed ones included.</summary>
    public double RequestsPerSecond => DurationSeconds > 0 ? Requests / DurationSeconds : 0;

    public int Truncated => Errors.GetValueOrDefault(BenchErrors.Truncated);

    /// <summary>Complete answers that differ from an earlier answer to the same request.</summary>
    public int Diverged => Errors.GetValueOrDefault(BenchErrors.Diverged);
}

/// <summary>Distribution of a time in milliseconds, with three significant digits; all 0 if nothing was measured.</summary>
public sealed record LatencySummary(long Count, double Mean, double P50, double P90, double P99, double Max);
