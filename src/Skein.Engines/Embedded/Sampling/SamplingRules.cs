using Skein.Engines.Requests;

namespace Skein.Engines.Embedded.Sampling;

/// <summary>How tokens are chosen: the request's sampling, checked and completed with the engine's defaults.</summary>
/// <param name="Temperature">0 is greedy: always the likeliest token.</param>
/// <param name="TopP">1: no limit.</param>
/// <param name="TopK">0: no limit.</param>
/// <param name="MinP">Least share of the likeliest token's probability; 0: no limit.</param>
/// <param name="RepetitionPenalty">Divides positive logits, and multiplies negative ones, of every token of prompt and answer so far.</param>
internal sealed record SamplingRules(
    float Temperature,
    float TopP,
    int TopK,
    float MinP,
    ulong Seed,
    float PresencePenalty,
    float FrequencyPenalty,
    float RepetitionPenalty,
    IReadOnlyList<KeyValuePair<int, float>> Bias)
{
    private const float DefaultTemperature = 0.7f;
    private const float DefaultTopP = 0.9f;

    /// <param name="asked">The request's sampling; null: all defaults.</param>
    /// <param name="drawSeed">Called where randomness is needed and no seed is given.</param>
    /// <exception cref="FaultException">A value is out of range; the message names it.</exception>
    public static SamplingRules From(Skein.Protocol.V1.Sampling? asked, int vocabulary, Func<ulong> drawSeed)
    {
        asked ??= new Skein.Protocol.V1.Sampling();
        RequestChecks.Check(asked);
        var temperature = asked.HasTemperature ? asked.Temperature : DefaultTemperature;
        return new SamplingRules(
            temperature,
            asked.HasTopP ? asked.TopP : DefaultTopP,
            (int)Math.Min(asked.TopK, int.MaxValue),
            asked.MinP,
            asked.HasSeed ? asked.Seed : temperature > 0 ? drawSeed() : 0,
            asked.PresencePenalty,
            asked.FrequencyPenalty,
            asked.HasRepetitionPenalty ? asked.RepetitionPenalty : 1,
            [.. asked.LogitBias.Select(bias => bias.Key < vocabulary
                ? KeyValuePair.Create((int)bias.Key, bias.Value)
                : throw RequestChecks.Refused("logit_bias", $"for token {bias.Key}", $"tokens 0 to {vocabulary - 1}"))]);
    }
}
