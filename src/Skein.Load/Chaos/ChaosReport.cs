namespace Skein.Load.Chaos;

/// <summary>Result of a chaos run. Immutable.</summary>
/// <param name="DurationSeconds">Time from the first stream's start to the last one's end.</param>
/// <param name="Lost">Streams with a missing token index.</param>
/// <param name="Duplicated">Streams with a repeated token index.</param>
/// <param name="Diverged">Complete streams whose text differs from the reference answer.</param>
/// <param name="Errors">Failed streams by kind; see <see cref="BenchErrors"/>.</param>
/// <param name="GapMs">Time between arrivals of tokens of one stream.</param>
/// <param name="FailoverGapMs">The gap before the first token after each failover; only in gRPC streams, the first 16 of each.</param>
/// <param name="LongestGapMs">The longest gap of each stream with a failover, whatever caused it.</param>
public sealed record ChaosReport(
    int Seed,
    double DurationSeconds,
    int Streams,
    long Tokens,
    IReadOnlyDictionary<string, int> Faults,
    long PacketsLost,
    int Failovers,
    int StreamsFailedOver,
    int Lost,
    int Duplicated,
    int Diverged,
    int Errored,
    IReadOnlyDictionary<string, int> Errors,
    LatencySummary GapMs,
    LatencySummary FailoverGapMs,
    LatencySummary LongestGapMs,
    IReadOnlyList<string> Examples)
{
    public int FaultCount => Faults.Values.Sum();

    public bool IsClean => Lost + Duplicated + Diverged + Errored == 0;
}
