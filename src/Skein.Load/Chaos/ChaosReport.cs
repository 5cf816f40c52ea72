namespace Skein.Load.Chaos;

/// <summary>Result of a chaos run. Immutable.</summary>
/// <param name="Seed">Seed of the faults.</param>
/// <param name="DurationSeconds">Time from the first stream's start to the last one's end.</param>
/// <param name="Streams">Finished streams.</param>
/// <param name="Tokens">Tokens of all streams.</param>
/// <param name="Faults">Injected faults by kind.</param>
/// <param name="PacketsLost">Packets lost by faults.</param>
/// <param name="Failovers">Failovers that the gateway reported.</param>
/// <param name="StreamsFailedOver">Streams with at least one failover.</param>
/// <param name="Lost">Streams with a missing token index.</param>
/// <param name="Duplicated">Streams with a repeated token index.</param>
/// <param name="Diverged">Complete streams whose text differs from the reference answer.</param>
/// <param name="Errored">Streams with any other error.</param>
/// <param name="Errors">Failed streams by kind; see <see cref="BenchErrors"/>.</param>
/// <param name="GapMs">Time between arrivals of tokens of one stream.</param>
/// <param name="FailoverGapMs">The gap before the first token after each failover; only in gRPC streams, the first 16 of each.</param>
/// <param name="LongestGapMs">The longest gap of each stream with a failover, whatever caused it.</param>
/// <param name="Examples">Messages of the first few errors.</param>
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
    /// <summary>Faults of all kinds.</summary>
    public int FaultCount => Faults.Values.Sum();

    /// <summary>No stream was harmed.</summary>
    public bool IsClean => Lost + Duplicated + Diverged + Errored == 0;
}
