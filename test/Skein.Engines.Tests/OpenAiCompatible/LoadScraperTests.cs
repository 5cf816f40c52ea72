using Skein.Engines.OpenAiCompatible;
using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.Tests.OpenAiCompatible;

public class LoadScraperTests
{
    // Recorded of llama.cpp b11669; shortened.
    private const string Llama = """
        # HELP llamacpp:tokens_predicted_seconds_total Total time spent generating tokens
        # TYPE llamacpp:tokens_predicted_seconds_total counter
        llamacpp:tokens_predicted_seconds_total 0
        # HELP llamacpp:requests_processing Number of requests processing
        # TYPE llamacpp:requests_processing gauge
        llamacpp:requests_processing 0
        # HELP llamacpp:requests_deferred Number of requests deferred
        # TYPE llamacpp:requests_deferred gauge
        llamacpp:requests_deferred 0
        # HELP llamacpp:n_busy_slots_per_decode Average number of busy slots per llama_decode() call
        # TYPE llamacpp:n_busy_slots_per_decode gauge
        llamacpp:n_busy_slots_per_decode 0
        """;

    // By their documents, as are the names of the others.
    private const string OldLlama = """
        # TYPE llamacpp:kv_cache_usage_ratio gauge
        llamacpp:kv_cache_usage_ratio 0.0390625
        llamacpp:requests_deferred 2
        """;

    private const string OldVllm = """
        vllm:num_requests_running{model_name="a"} 3.0
        vllm:num_requests_waiting{model_name="a"} 1.0
        vllm:gpu_cache_usage_perc{model_name="a"} 1.25e-01
        vllm:cpu_cache_usage_perc{model_name="a"} 0.9
        """;

    private const string BrokenVllm = """
        vllm:num_requests_waiting{model_name="a"} NaN
        vllm:kv_cache_usage_perc{model_name="a"}
        vllm:kv_cache_usage_perc
        """;

    [Theory]
    [InlineData("llama.cpp", Llama, null, 0)]
    [InlineData("llama.cpp", OldLlama, 39, 2)]
    [InlineData("vllm", OldVllm, 125, 1)]
    [InlineData("vllm", BrokenVllm, null, null)]
    [InlineData("sglang", "", null, null)]
    [InlineData("ollama", OldVllm, null, null)]
    public async Task ReadAsync_WhatTheServerTells_IsTheLoad(string kind, string text, int? kvUsedPermille, int? waiting)
    {
        Assert.Equal(new EngineLoad(kvUsedPermille, waiting), await ReadAsync(kind, new FakeServer().On("/metrics", text)));
    }

    // llama.cpp without --metrics answers 501, SGLang without --enable-metrics 404.
    [Fact]
    public async Task ReadAsync_ServerWithoutMetrics_IsUnknown() =>
        Assert.Equal(EngineLoad.Unknown, await ReadAsync("llama.cpp", new FakeServer()));

    private static async Task<EngineLoad> ReadAsync(string kind, FakeServer server)
    {
        using var http = new EngineHttp(new OpenAiEngineOptions { BaseUrl = new Uri("http://fake.test") }, server, TimeProvider.System);
        return await new LoadScraper(http, ServerProfiles.All.Single(profile => profile.Name == kind).LoadSources, TimeProvider.System).ReadAsync(TestContext.Current.CancellationToken);
    }
}
