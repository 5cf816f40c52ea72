using System.Text.Json;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.Tokens;

/// <summary>
/// A short greedy answer to a fixed prompt. Other weights, another tokenizer or other numerics rarely give the same one. It is part of the fingerprint, and
/// proves that the server returns token ids at all.
/// </summary>
internal static class EngineCanary
{
    public const string Prompt = "Once upon a time";

    public const int AnswerTokens = 24;

    /// <param name="http">The server.</param>
    /// <param name="path">The call.</param>
    /// <param name="body">Asks for the answer.</param>
    /// <param name="read">Finds the ids in it.</param>
    /// <param name="needed">What the server must support, for the message.</param>
    /// <param name="cancellationToken">The caller's.</param>
    /// <exception cref="FaultException">The answer has no ids.</exception>
    public static async ValueTask<uint[]> AskAsync(
        EngineHttp http, string path, RequestJson body, Func<JsonElement, uint[]?> read, string needed, CancellationToken cancellationToken) =>
        read(await http.AskAsync(path, body.ToBytes(), cancellationToken))
            ?? throw new FaultException(Fault.Unsupported, $"{http.Name} gives no token ids ({needed}); the kind 'openai' works without");
}
