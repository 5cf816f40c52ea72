using System.Text.Json;
using Google.Protobuf;
using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.LlamaCpp;

/// <summary>Reads llama.cpp's <c>completion_probabilities</c>.</summary>
internal static class LlamaCppLogprobs
{
    /// <summary>Of the event's one token; none if they were not requested.</summary>
    public static IReadOnlyList<TokenLogprob> Of(JsonElement data, GenerateRequest request)
    {
        if (!request.HasLogprobs)
        {
            return [];
        }

        foreach (var position in data.Elements("completion_probabilities"))
        {
            var logprob = Read(position);
            logprob.Top.Add(position.Elements("top_logprobs").Take((int)request.Logprobs).Select(Read));
            return [logprob];
        }

        return [];
    }

    private static TokenLogprob Read(JsonElement token) => new()
    {
        TokenId = (uint)(token.Whole("id") ?? 0),
        Token = ByteString.CopyFrom([.. token.Elements("bytes").Select(unit => unit.GetByte())]),
        Logprob = (float)(token.Number("logprob") ?? 0),
    };
}
