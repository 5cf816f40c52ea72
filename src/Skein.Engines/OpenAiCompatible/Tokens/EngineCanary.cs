using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>
/// A short greedy answer to a fixed prompt. Other weights, another tokenizer or other numerics rarely give the same one. It is part of the fingerprint, and
/// proves that the server returns token ids at all.
/// </summary>
internal static class EngineCanary
{
    public const string Prompt = "Once upon a time";

    public const int AnswerTokens = 24;

    /// <exception cref="FaultException">The answer has no ids.</exception>
    public static async ValueTask<uint[]> AskAsync(
        EngineHttp http, string path, RequestJson body, Func<JsonElement, uint[]?> read, string needed, CancellationToken cancellationToken) =>
        read(await http.AskAsync(path, body.ToBytes(), cancellationToken))
            ?? throw new FaultException(Fault.Unsupported, $"{http.Name} gives no token ids ({needed}); the kind 'openai' works without");
}
