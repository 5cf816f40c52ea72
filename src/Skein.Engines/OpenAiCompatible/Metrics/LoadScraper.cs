using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Metrics;

/// <summary>Reads a server's load from its <c>/metrics</c>, at most about twice a second. Thread-safe.</summary>
internal sealed class LoadScraper(EngineHttp http, LoadMetricNames? names, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(500);
    private volatile Reading? _last;

    /// <exception cref="FaultException">The server cannot be reached.</exception>
    public async ValueTask<EngineLoad> ReadAsync(CancellationToken cancellationToken)
    {
        if (names is null)
            return EngineLoad.Unknown;

        if (_last is { } last && time.GetElapsedTime(last.Timestamp) < Freshness)
            return last.Load;

        var text = await http.FindTextAsync("metrics", cancellationToken);
        var load = text is null ? EngineLoad.Unknown : Parse(text, names);
        _last = new Reading(time.GetTimestamp(), load);
        return load;
    }

    // Several label sets are several engines behind one server: their queues add up, and the fullest cache refuses first.
    private static EngineLoad Parse(byte[] text, LoadMetricNames names)
    {
        var waiting = PrometheusText.Values(text, names.Waiting).ToList();
        var used = names.KvUsed.SelectMany(name => PrometheusText.Values(text, name)).ToList();
        return new EngineLoad(
            used.Count > 0 ? (int)Math.Clamp(Math.Round(used.Max() * 1000), 0, 1000) : null,
            waiting.Count > 0 ? (int)Math.Clamp(waiting.Sum(), 0, int.MaxValue) : null);
    }

    private sealed record Reading(long Timestamp, EngineLoad Load);
}

/// <summary>Names of a server's load metrics.</summary>
/// <param name="Waiting">Requests that wait.</param>
/// <param name="KvUsed">Share of the KV cache in use, 0 to 1; one name per version of the server.</param>
internal sealed record LoadMetricNames(string Waiting, string[] KvUsed);
