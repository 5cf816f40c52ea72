using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skein.Load.Chaos;

/// <summary>What a chaos run did, and what its clients saw. Immutable.</summary>
/// <param name="Seed">Of the faults.</param>
/// <param name="DurationSeconds">From the first stream's start to the last one's end.</param>
/// <param name="Streams">Streams that ended.</param>
/// <param name="Tokens">Tokens of all of them.</param>
/// <param name="Faults">Faults injected, by kind.</param>
/// <param name="PacketsLost">Packets that were lost by faults.</param>
/// <param name="Failovers">Changes of replica in mid-stream, as the gateway told them.</param>
/// <param name="StreamsFailedOver">Streams with at least one of them.</param>
/// <param name="Lost">Streams in which a token index was left out.</param>
/// <param name="Duplicated">Streams in which a token index came twice.</param>
/// <param name="Diverged">Whole streams with another text than the same request had before the first fault.</param>
/// <param name="Errored">Streams that ended in any other error.</param>
/// <param name="Errors">All failed streams, by kind; see <see cref="BenchErrors"/>.</param>
/// <param name="GapMs">Between arrivals of tokens of one stream.</param>
/// <param name="FailoverGapMs">The gap before the token that came first after each failover, where tokens are numbered (gRPC) and the first 16 of a stream.</param>
/// <param name="LongestGapMs">The longest gap of each stream that was failed over; it holds what else delayed that stream.</param>
/// <param name="Examples">What a few of the errors said.</param>
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

    /// <summary>The report as one JSON object.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ChaosReportJson.Default.ChaosReport);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(ChaosReport))]
internal sealed partial class ChaosReportJson : JsonSerializerContext;
