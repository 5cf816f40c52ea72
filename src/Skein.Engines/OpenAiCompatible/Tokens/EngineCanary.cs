using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>
/// A short greedy answer to a fixed prompt. Other weights, another tokenizer or other numbers seldom give the same one: part of the fingerprint, and
/// the proof that the server gives token ids at all.
/// </summary>
internal static class EngineCanary
{
    public const string Prompt = "Once upon a time";

    private const int AnswerTokens = 24;

    public static ValueTask<uint[]> LlamaAsync(EngineHttp http, CancellationToken cancellationToken) => AskAsync(
        http, "completion", new RequestJson()
            .Text("prompt", Prompt).Whole("n_predict", AnswerTokens).Number("temperature", 0).Flag("return_tokens", true).Flag("cache_prompt", false),
        answer => answer.Ids("tokens"), "return_tokens", cancellationToken);

    public static ValueTask<uint[]> VllmAsync(EngineHttp http, string model, CancellationToken cancellationToken) => AskAsync(
        http, "v1/completions", new RequestJson()
            .Text("model", model).Text("prompt", Prompt).Whole("max_tokens", AnswerTokens).Number("temperature", 0).Flag("return_token_ids", true),
        answer => answer.Elements("choices").Select(choice => choice.Ids("token_ids")).FirstOrDefault(),
        "return_token_ids, vLLM 0.10.2 or newer", cancellationToken);

    public static ValueTask<uint[]> SgLangAsync(EngineHttp http, CancellationToken cancellationToken) => AskAsync(
        http, "generate", new RequestJson()
            .Text("text", Prompt).Object("sampling_params", sampling => sampling.Whole("max_new_tokens", AnswerTokens).Number("temperature", 0)),
        answer => answer.Ids("output_ids"), "output_ids", cancellationToken);

    private static async ValueTask<uint[]> AskAsync(
        EngineHttp http, string path, RequestJson body, Func<JsonElement, uint[]?> read, string needed, CancellationToken cancellationToken) =>
        read(await http.AskAsync(path, body.ToBytes(), cancellationToken))
            ?? throw new FaultException(Fault.Unsupported, $"{http.Name} gives no token ids ({needed}); the kind Generic works without");
}
