using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Metrics;

/// <summary>Reads a server's load from its <c>/metrics</c>, about twice a second at most. Thread-safe.</summary>
internal sealed class LoadScraper(EngineHttp http, OpenAiEngineKind kind, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(500);
    private volatile Reading? _last;

    /// <exception cref="FaultException">The server cannot be reached.</exception>
    public async ValueTask<EngineLoad> ReadAsync(CancellationToken cancellationToken)
    {
        if (Names() is not { } names)
        {
            return EngineLoad.Unknown;
        }

        if (_last is { } last && time.GetElapsedTime(last.Timestamp) < Freshness)
        {
            return last.Load;
        }

        var text = await http.FindTextAsync("metrics", cancellationToken);
        var load = text is null ? EngineLoad.Unknown : Parse(text, names);
        _last = new Reading(time.GetTimestamp(), load);
        return load;
    }

    // Several label sets are several engines behind one server: their lines add up, the fullest cache is the one that refuses.
    private static EngineLoad Parse(byte[] text, ServerMetricNames names)
    {
        var waiting = PrometheusText.Values(text, names.Waiting).ToList();
        var used = names.KvUsed.SelectMany(name => PrometheusText.Values(text, name)).ToList();
        return new EngineLoad(
            used.Count > 0 ? (int)Math.Clamp(Math.Round(used.Max() * 1000), 0, 1000) : null,
            waiting.Count > 0 ? (int)Math.Clamp(waiting.Sum(), 0, int.MaxValue) : null);
    }

    private ServerMetricNames? Names() => kind switch
    {
        OpenAiEngineKind.LlamaCpp => new("llamacpp:requests_deferred", ["llamacpp:kv_cache_usage_ratio"]),
        OpenAiEngineKind.Vllm => new("vllm:num_requests_waiting", ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"]),
        OpenAiEngineKind.SgLang => new("sglang:num_queue_reqs", ["sglang:token_usage"]),
        _ => null,
    };

    private sealed record Reading(long Timestamp, EngineLoad Load);

    private sealed record ServerMetricNames(string Waiting, string[] KvUsed);
}
