using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>
/// Reads the bytes of all tokens from llama.cpp. It has no call for that, and its text calls replace incomplete characters. A request for the log
/// probabilities of the whole vocabulary lists every token with its bytes.
/// </summary>
internal static class LlamaCppVocabulary
{
    private const int MostTokens = 2_000_000;

    public static async ValueTask<TokenBytes> ReadAsync(EngineHttp http, int size, CancellationToken cancellationToken)
    {
        if (size is <= 0 or > MostTokens)
        {
            throw new FaultException(Fault.Unsupported, $"{http.Name} reports a vocabulary of {size} tokens; allowed: 1 to {MostTokens}");
        }

        var body = new RequestJson()
            .Text("prompt", EngineCanary.Prompt).Whole("n_predict", 1).Whole("n_probs", size).Number("temperature", 0).Flag("cache_prompt", false);
        var answer = await http.AskAsync("completion", body.ToBytes(), cancellationToken);
        var bytes = new byte[]?[size];
        foreach (var token in answer.Elements("completion_probabilities").Take(1).SelectMany(position => position.Elements("top_logprobs")))
        {
            if (token.Whole("id") is { } id and >= 0 && id < size)
            {
                bytes[id] = [.. token.Elements("bytes").Select(unit => unit.GetByte())];
            }
        }

        return bytes.Any(token => token is not null)
            ? new TokenBytes(bytes)
            : throw new FaultException(Fault.Unsupported, $"{http.Name} does not report the bytes of its tokens (completion_probabilities)");
    }
}
