using System.Globalization;
using Google.Protobuf;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Writes sampling under the names of each server. Absent values stay absent: the server's defaults apply.</summary>
internal static class SamplingMembers
{
    /// <summary>OpenAI's names, and those that vLLM, SGLang and others added to them.</summary>
    public static RequestJson OpenAiSampling(this RequestJson json, Sampling? sampling, string seedName = "seed") =>
        sampling is null ? json : json.Shared(sampling, seedName, SignedSeed(sampling), "repetition_penalty", UnlimitedAsMinusOne(sampling));

    /// <summary>llama.cpp's own names.</summary>
    public static RequestJson LlamaCppSampling(this RequestJson json, Sampling? sampling) =>
        sampling is null ? json : json.Shared(sampling, "seed", FoldedSeed(sampling), "repeat_penalty", sampling.HasTopK ? sampling.TopK : null);

    private static RequestJson Shared(this RequestJson json, Sampling sampling, string seedName, long? seed, string penaltyName, long? topK)
    {
        json.Whole(seedName, seed)
            .Whole("top_k", topK)
            .Value(sampling, "temperature", sampling.HasTemperature ? sampling.Temperature : null)
            .Value(sampling, "top_p", sampling.HasTopP ? sampling.TopP : null)
            .Value(sampling, "min_p", sampling.HasMinP ? sampling.MinP : null)
            .Value(sampling, "presence_penalty", sampling.HasPresencePenalty ? sampling.PresencePenalty : null)
            .Value(sampling, "frequency_penalty", sampling.HasFrequencyPenalty ? sampling.FrequencyPenalty : null)
            .Value(sampling, "repetition_penalty", sampling.HasRepetitionPenalty ? sampling.RepetitionPenalty : null, penaltyName);
        return sampling.LogitBias.Count == 0 ? json
            : RawOf(sampling, "logit_bias") is { } raw ? json.Raw("logit_bias", raw.Span)
            : json.Object("logit_bias", biases =>
            {
                foreach (var (id, bias) in sampling.LogitBias.OrderBy(pair => pair.Key))
                    biases.Number(id.ToString(CultureInfo.InvariantCulture), Shortest(bias));
            });
    }

    // As the client wrote it, if it came as JSON: a float has fewer digits.
    private static RequestJson Value(this RequestJson json, Sampling sampling, string name, float? value, string? writtenName = null) =>
        value is not { } number ? json
        : RawOf(sampling, name) is { } raw ? json.Raw(writtenName ?? name, raw.Span)
        : json.Number(writtenName ?? name, Shortest(number));

    private static ByteString? RawOf(Sampling sampling, string name)
    {
        foreach (var member in sampling.Raw)
        {
            if (member.Name == name)
                return member.Json;
        }

        return null;
    }

    private static long? SignedSeed(Sampling sampling) => sampling.HasSeed ? (long)(sampling.Seed & long.MaxValue) : null;

    // llama.cpp's seeds have 32 bits, and the largest one means "draw one".
    private static long? FoldedSeed(Sampling sampling) =>
        !sampling.HasSeed ? null : (uint)(sampling.Seed ^ (sampling.Seed >> 32)) is var folded && folded == uint.MaxValue ? folded - 1 : folded;

    // "No limit" is 0 in the request and in llama.cpp, and -1 in the other servers.
    private static long? UnlimitedAsMinusOne(Sampling sampling) => !sampling.HasTopK ? null : sampling.TopK == 0 ? -1 : sampling.TopK;

    // 0.7f becomes 0.7 as a double, not 0.699999988.
    private static double Shortest(float value) => (double)(decimal)value;
}
