using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Vllm;

/// <summary>vLLM, 0.10.2 or newer (<c>return_token_ids</c>): resumes by token ids.</summary>
internal sealed class VllmProfile : ServerProfile
{
    public override string Name => "vllm";

    public override string Missing => "/version has no version, and no model is owned by vllm";

    // The list of models is answered by a server whose engine is dead, too.
    public override string HealthPath => "health";

    public override IReadOnlyList<LoadSource> LoadSources { get; } =
        [LoadSource.Metrics("vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")];

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken)
    {
        var version = (await http.FindAsync("version", cancellationToken))?.Text("version");
        var isOwner = await OwnsModelsAsync(http, Name, cancellationToken);
        var isVllm = isDeclared ? version is not null || isOwner : version is not null && (isOwner || await HasMetricsAsync(http, cancellationToken));
        return isVllm ? await ReadModelsAsync(http, version ?? "", slots: null, cancellationToken) : null;
    }

    private static async ValueTask<bool> HasMetricsAsync(EngineHttp http, CancellationToken cancellationToken) =>
        await http.FindTextAsync("metrics", cancellationToken) is { } text && text.AsSpan().IndexOf("\nvllm:"u8) >= 0;

    public override ValueTask<ITokenDialect?> ConnectTokensAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, string? cacheDirectory, CancellationToken cancellationToken) =>
        ValueTask.FromResult<ITokenDialect?>(new VllmDialect(http));

    public override bool ObeysSeeds => true;

    public override bool ReturnsChatIds => true;

    public override bool EchoesLogprobs => true;

    // vLLM refuses prompt_logprobs in a stream.
    public override bool NeedsWholeAnswer(GenerateRequest request) =>
        base.NeedsWholeAnswer(request) || request.Extra.Any(member => member.Name == "prompt_logprobs" && !ResumeTiers.IsAbsent(member));

    public override bool ContinuesLastMessage(GenerateRequest request) =>
        request.Extra.Any(member => member.Name == "continue_final_message" && member.Json.Span.SequenceEqual("true"u8));

    public override RequestJson WriteContinuation(RequestJson body) => body.Flag("continue_final_message", true).Flag("add_generation_prompt", false);
}
