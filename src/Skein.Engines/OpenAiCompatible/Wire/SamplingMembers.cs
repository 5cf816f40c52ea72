using System.Globalization;
using Skein.Protocol.V1;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Sampling, in the words of each server. What is absent stays absent: the server's default.</summary>
internal static class SamplingMembers
{
    /// <summary>OpenAI's names, and those that vLLM, SGLang and others added to them.</summary>
    public static RequestJson OpenAiSampling(this RequestJson json, Sampling? sampling)
    {
        if (sampling is null)
        {
            return json;
        }

        json.Whole("seed", sampling.HasSeed ? (long)(sampling.Seed & long.MaxValue) : null);
        json.Whole("top_k", TopK(sampling));
        return json.Shared(sampling).Number("repetition_penalty", sampling.HasRepetitionPenalty ? Shortest(sampling.RepetitionPenalty) : null).Biases(sampling);
    }

    /// <summary>SGLang's <c>sampling_params</c>.</summary>
    public static RequestJson SgLangSampling(this RequestJson json, Sampling? sampling)
    {
        if (sampling is null)
        {
            return json;
        }

        json.Whole("sampling_seed", sampling.HasSeed ? (long)(sampling.Seed & long.MaxValue) : null);
        json.Whole("top_k", TopK(sampling));
        return json.Shared(sampling).Number("repetition_penalty", sampling.HasRepetitionPenalty ? Shortest(sampling.RepetitionPenalty) : null).Biases(sampling);
    }

    /// <summary>llama.cpp's own names.</summary>
    public static RequestJson LlamaSampling(this RequestJson json, Sampling? sampling)
    {
        if (sampling is null)
        {
            return json;
        }

        json.Whole("seed", sampling.HasSeed ? LlamaSeed(sampling.Seed) : null);
        json.Whole("top_k", sampling.HasTopK ? sampling.TopK : null);
        return json.Shared(sampling).Number("repeat_penalty", sampling.HasRepetitionPenalty ? Shortest(sampling.RepetitionPenalty) : null).Biases(sampling);
    }

    // 32 bits, and the largest value means "draw one".
    private static long LlamaSeed(ulong seed)
    {
        var folded = (uint)(seed ^ (seed >> 32));
        return folded == uint.MaxValue ? folded - 1 : folded;
    }

    // 0 is no limit here, -1 there.
    private static long? TopK(Sampling sampling) => !sampling.HasTopK ? null : sampling.TopK == 0 ? -1 : sampling.TopK;

    private static RequestJson Shared(this RequestJson json, Sampling sampling) => json
        .Number("temperature", sampling.HasTemperature ? Shortest(sampling.Temperature) : null)
        .Number("top_p", sampling.HasTopP ? Shortest(sampling.TopP) : null)
        .Number("min_p", sampling.HasMinP ? Shortest(sampling.MinP) : null)
        .Number("presence_penalty", sampling.HasPresencePenalty ? Shortest(sampling.PresencePenalty) : null)
        .Number("frequency_penalty", sampling.HasFrequencyPenalty ? Shortest(sampling.FrequencyPenalty) : null);

    private static RequestJson Biases(this RequestJson json, Sampling sampling) => sampling.LogitBias.Count == 0 ? json : json.Object("logit_bias", biases =>
    {
        foreach (var (id, bias) in sampling.LogitBias.OrderBy(pair => pair.Key))
        {
            biases.Number(id.ToString(CultureInfo.InvariantCulture), Shortest(bias));
        }
    });

    // 0.7f is 0.7 for whoever reads it as a double, not 0.699999988.
    private static double Shortest(float value) => (double)(decimal)value;
}
