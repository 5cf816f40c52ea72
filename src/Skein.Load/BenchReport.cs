using System.Text.Json;
using System.Text.Json.Serialization;

namespace Skein.Load;

/// <summary>What a benchmark measured. Immutable.</summary>
/// <param name="Target">Who was asked.</param>
/// <param name="Model">The model that was asked for; empty where the server chose.</param>
/// <param name="Concurrency">Requests that ran at the same time.</param>
/// <param name="Requests">Requests that were measured.</param>
/// <param name="Succeeded">Of these, those that ended as they should: complete and, where checked, the expected text.</param>
/// <param name="Errors">The others, by kind; see <see cref="BenchErrors"/>.</param>
/// <param name="DurationSeconds">From the first measured request's start to the last one's end.</param>
/// <param name="Tokens">Tokens of all measured answers.</param>
/// <param name="TokensAreChunks">Some answers came without usage: their chunks were counted in place of tokens.</param>
/// <param name="TimeToFirstTokenMs">From a request's start to its first token.</param>
/// <param name="InterTokenMs">Between arrivals of tokens of one answer; its maximum is the longest gap any client saw.</param>
/// <param name="EndToEndMs">From a request's start to its end, of those that succeeded.</param>
/// <param name="Failovers">Changes of replica in mid-stream, as the server told them.</param>
/// <param name="StreamsFailedOver">Answers with at least one of them.</param>
/// <param name="FailoverGapMs">The gap before the token that came first after each failover, where tokens are numbered (gRPC) and the first 16 of a stream.</param>
/// <param name="LongestGapMs">The longest gap of each answer that was failed over; it holds what else delayed that answer.</param>
/// <param name="Examples">What a few of the errors said.</param>
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
    /// <summary>Tokens of all streams together.</summary>
    public double TokensPerSecond => DurationSeconds > 0 ? Tokens / DurationSeconds : 0;

    /// <summary>Requests that ended, however.</summary>
    public double RequestsPerSecond => DurationSeconds > 0 ? Requests / DurationSeconds : 0;

    /// <summary>Streams that ended as if whole, without being it.</summary>
    public int Truncated => Errors.GetValueOrDefault(BenchErrors.Truncated);

    /// <summary>Whole answers with another text than the same request had before.</summary>
    public int Diverged => Errors.GetValueOrDefault(BenchErrors.Diverged);

    /// <summary>The report as one JSON object.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, BenchReportJson.Default.BenchReport);
}

/// <summary>Distribution of a time in milliseconds, with three significant digits; all 0 where nothing was measured.</summary>
/// <param name="Count">Values measured.</param>
/// <param name="Mean">Arithmetic mean.</param>
/// <param name="P50">Median.</param>
/// <param name="P90">90th percentile.</param>
/// <param name="P99">99th percentile.</param>
/// <param name="Max">The largest.</param>
public sealed record LatencySummary(long Count, double Mean, double P50, double P90, double P99, double Max);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(BenchReport))]
internal sealed partial class BenchReportJson : JsonSerializerContext;
