using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.SgLang;

/// <summary>SGLang: resumes by token ids.</summary>
internal sealed class SgLangProfile : ServerProfile
{
    private const string ParserMember = "reasoning_parser";

    private static readonly string[] IdentityMembers = ["version", "dtype", "quantization", "kv_cache_dtype", "tp_size", "attention_backend", "chat_template"];

    /// <summary>Members that change nothing in an answer.</summary>
    private static readonly string[] UnusedMembers =
        ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "stream_options", "logprobs", "top_logprobs"];

    /// <summary>Members that make another prompt, which /tokenize renders, or ask for ids, which are known.</summary>
    private static readonly string[] ChatMembers = ["chat_template_kwargs", .. SgLangAskedIds.Members];

    public override string Name => "sglang";

    public override string Missing => "/model_info has no model_path";

    // Its /health generates a token.
    public override string HealthPath => "ready";

    public override IReadOnlyList<LoadSource> LoadSources { get; } =
        [new LoadSource("v1/loads", ReadLoads), LoadSource.Metrics("sglang:num_queue_reqs", "sglang:token_usage")];

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken)
    {
        if (await FindAsync(http, "model_info", cancellationToken) is not { } info || info.Text("model_path") is null)
            return null;

        if (!isDeclared && !await OwnsModelsAsync(http, Name, cancellationToken) && !await SaysItRunsAsync(http, cancellationToken))
            return null;

        var server = await FindAsync(http, "server_info", cancellationToken) ?? default;
        var identity = string.Join('\n', IdentityMembers.Select(name => server.Member(name)?.GetRawText()).Prepend(info.GetRawText()));
        var facts = await ReadModelsAsync(http, identity, server.Whole("max_running_requests"), cancellationToken);
        var isGenerating = info.Member("is_generation") is not { ValueKind: JsonValueKind.False };
        return facts with
        {
            Models = [.. facts.Models.Select(model => model with { IsGenerating = isGenerating })],
            MentionsReasoning = (info.Text(ParserMember) ?? server.Text(ParserMember)) is not null,
        };
    }


    public override async ValueTask<ITokenDialect?> ConnectTokensAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, string? cacheDirectory, CancellationToken cancellationToken)
    {
        var server = await FindAsync(http, "server_info", cancellationToken) ?? default;
        var parser = (await FindAsync(http, "model_info", cancellationToken))?.Text(ParserMember) ?? server.Text(ParserMember);
        return new SgLangDialect(http, parser, server.Member("enable_cache_report") is { ValueKind: JsonValueKind.True });
    }

    // SGLang's /generate has other names for its members. The log probabilities of completions have offsets that it does not tell.
    public override bool TakesTokens(GenerateRequest request) => (!request.HasLogprobs || request.Chat is not null)
        && request.Extra.All(member => UnusedMembers.Contains(member.Name) || ResumeTiers.IsAbsent(member)
            || (request.Chat is not null && ChatMembers.Contains(member.Name)));

    public override bool EchoesLogprobs => true;

    // Older versions have these calls under other names.
    private static async ValueTask<JsonElement?> FindAsync(EngineHttp http, string path, CancellationToken cancellationToken) =>
        await http.FindAsync(path, cancellationToken) ?? await http.FindAsync($"get_{path}", cancellationToken);

    private static async ValueTask<bool> SaysItRunsAsync(EngineHttp http, CancellationToken cancellationToken) =>
        await http.FindTextAsync("", cancellationToken) is { } text && Encoding.UTF8.GetString(text).Contains("SGLang", StringComparison.Ordinal);

    // One row per data-parallel rank: their queues add up, and the fullest cache refuses first.
    private static EngineLoad ReadLoads(byte[] body)
    {
        var ranks = JsonElement.Parse(body).Elements("loads").ToList();
        var waiting = ranks.Select(rank => rank.Whole("num_waiting_reqs")).OfType<int>().ToList();
        var used = ranks.Select(rank => rank.Number("token_usage")).OfType<double>().ToList();
        return LoadSource.Of(waiting.Count > 0 ? waiting.Sum(count => (double)count) : null, used.Count > 0 ? used.Max() : null);
    }

    public override RequestJson WriteContinuation(RequestJson body) => body.Flag("continue_final_message", true).Flag("add_generation_prompt", false);
}
