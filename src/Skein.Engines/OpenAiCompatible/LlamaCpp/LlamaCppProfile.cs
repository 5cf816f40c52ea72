using Skein.Engines.OpenAiCompatible.Metrics;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Engines.Requests;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>llama.cpp's <c>llama-server</c>: resumes by token ids.</summary>
internal sealed class LlamaCppProfile : ServerProfile
{
    private static readonly string[] ModelSizes = ["vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size"];

    public override string Name => "llama.cpp";

    public override string Missing => "/props has no total_slots";

    // The server lists its models while it still loads them.
    public override string HealthPath => "health";

    public override IReadOnlyList<LoadSource> LoadSources { get; } = [LoadSource.Metrics("llamacpp:requests_deferred", "llamacpp:kv_cache_usage_ratio")];

    public override bool ObeysSeeds => true;

    public override bool PenalizesPrompt => true;

    public override bool TrimsReasoning => true;

    public override bool BindsCalls => true;

    // It feeds the beginning of the answer to the grammar, if the template writes the beginning as it is.
    public override bool MayContinueFormats => true;

    public override async ValueTask<ServerFacts?> ProbeAsync(EngineHttp http, bool isDeclared, CancellationToken cancellationToken)
    {
        if (await http.FindAsync("props", cancellationToken) is not { } props || props.Whole("total_slots") is not { } slots)
            return null;

        if (!isDeclared && !await OwnsModelsAsync(http, "llamacpp", cancellationToken)
            && (await http.FindAsync(HealthPath, cancellationToken))?.Text("status") != "ok")
        {
            return null;
        }

        var defaults = props.Member("default_generation_settings");
        var template = props.Text("chat_template") ?? "";
        // The model's path differs between machines; its file name may be the same. The settings are the defaults of a request.
        var identity = string.Join(
            '\n',
            props.Text("build_info"),
            Path.GetFileName(props.Text("model_path")),
            props.Text("model_ftype"),
            template,
            props.Text("bos_token"),
            props.Text("eos_token"),
            defaults?.Member("params")?.GetRawText());
        var models = await http.ListModelsAsync(cancellationToken);
        var context = defaults?.Whole("n_ctx") ?? 0;
        return new ServerFacts(
            [.. models.Select(model =>
                new ModelFacts(model.Text("id")!, context, model.Member("meta")?.Whole("n_vocab") ?? 0, $"{identity}\n{SizesOf(model)}", MetadataOf(model))
                {
                    SystemFingerprint = props.Text("build_info") ?? "",
                })],
            slots,
            template.Contains("think", StringComparison.Ordinal) || template.Contains("<|channel|>", StringComparison.Ordinal));
    }

    public override async ValueTask<ITokenDialect?> ConnectTokensAsync(
        EngineHttp http, IReadOnlyList<ModelFacts> models, string? cacheDirectory, CancellationToken cancellationToken) =>
        new LlamaCppDialect(
            http,
            await TokenBytes.ReadAsync(
                http, models[0].Identity, models[0].VocabularySize, cacheDirectory ?? TokenBytesFile.DefaultDirectory, cancellationToken),
            models[0].SystemFingerprint);

    // They change how the chat call divides its answer: with the format none it does not, unless it looks for calls. Its own call tells all
    // about how it made a completion.
    public override bool TakesTokens(GenerateRequest request) => request.Chat is not { } chat
        ? !IsMadeAgain(request) && !request.Extra.Any(member => member.Name == "n_indent" && !ResumeTiers.IsAbsent(member))
        : request.Extra.All(member => member.Name switch
        {
            "reasoning_format" => ResumeTiers.IsAbsent(member) || (LlamaCppDialect.IsUndivided(member) && !ChatJson.OffersTools(chat)),
            "reasoning_in_content" => ResumeTiers.IsAbsent(member),
            _ => true,
        });

    // It tells of the prompt and of the tokens of one call.
    public override bool IsMadeAgain(GenerateRequest request) => request.Extra.Any(member => member.Name == "verbose" && !ResumeTiers.IsAbsent(member));

    // A stream lacks the beginning of the answer that the client wrote and the probabilities of tokens whose text the parser holds back, and with tools it
    // refuses probabilities. What it tells of itself differs.
    public override bool TellsMoreInWhole(GenerateRequest request) =>
        request.Whole
        && (IsMadeAgain(request)
            || (request.Chat is { } chat
                && (LlamaCppProbabilities.AreAsked(request)
                    || request.Extra.Any(member => member.Name == "return_progress" && !ResumeTiers.IsAbsent(member))
                    || ChatJson.Outline(chat.Messages).Begun is not null)));

    // Its own call, which returns ids, ignores these members; the calls of other servers serve or refuse them.
    public override void Check(GenerateRequest request)
    {
        RequestChecks.RefuseBestOfAndSuffix(request);
        // Its own name of n: the answers of a call with it come mixed.
        var several = request.Extra.FirstOrDefault(member => member.Name == "n_cmpl" && !ResumeTiers.IsAbsent(member))?.Json.ToStringUtf8();
        if (several is not (null or "1"))
            throw RequestChecks.Refused("n_cmpl", several, "1, or absent; n asks for several answers");
    }

    // Those of the first attempt: the text of a chat may begin with marks of the prompt, in which the server looks for none.
    public override bool MatchesStops => true;

    public override RequestJson WriteSampling(RequestJson body, Sampling? sampling) => body.LlamaCppSampling(sampling);

    private static string SizesOf(JsonElement model) => string.Join('\n', ModelSizes.Select(name => model.Member("meta")?.Member(name)?.GetRawText()));
}
