using System.Globalization;

namespace Skein.Engines.Embedded.Sampling;

/// <summary>How tokens are chosen: a request's wishes, checked and filled up with the engine's defaults.</summary>
/// <param name="Temperature">0 is greedy: always the likeliest token.</param>
/// <param name="TopP">Choose among the likeliest tokens that together have this share; 1: no limit.</param>
/// <param name="TopK">Choose among so many of the likeliest tokens; 0: no limit.</param>
/// <param name="MinP">Choose among tokens that have at least this share of the likeliest one's probability; 0: no limit.</param>
/// <param name="Seed">Of the randomness.</param>
/// <param name="PresencePenalty">Taken from the logit of every token of the answer so far.</param>
/// <param name="FrequencyPenalty">Taken from it as often as the token stands in the answer so far.</param>
/// <param name="RepetitionPenalty">
/// Divides positive logits, and multiplies negative ones, of every token of prompt and answer so far; 1: nothing.
/// </param>
/// <param name="Bias">Added to logits.</param>
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

    /// <param name="wishes">The request's; null: all defaults.</param>
    /// <param name="vocabulary">Number of tokens.</param>
    /// <param name="drawSeed">Called where randomness is needed and no seed is given.</param>
    /// <exception cref="FaultException">A wish is out of range; the message names it.</exception>
    public static SamplingRules From(Skein.Protocol.V1.Sampling? wishes, int vocabulary, Func<ulong> drawSeed)
    {
        wishes ??= new Skein.Protocol.V1.Sampling();
        var temperature = wishes.HasTemperature ? Within("temperature", wishes.Temperature, 0, 2) : DefaultTemperature;
        return new SamplingRules(
            temperature,
            wishes.HasTopP ? Within("top_p", wishes.TopP, float.Epsilon, 1, "above 0, to 1") : DefaultTopP,
            (int)Math.Min(wishes.TopK, int.MaxValue),
            Within("min_p", wishes.MinP, 0, 1),
            wishes.HasSeed ? wishes.Seed : temperature > 0 ? drawSeed() : 0,
            Within("presence_penalty", wishes.PresencePenalty, -2, 2),
            Within("frequency_penalty", wishes.FrequencyPenalty, -2, 2),
            wishes.HasRepetitionPenalty ? Within("repetition_penalty", wishes.RepetitionPenalty, float.Epsilon, float.MaxValue, "above 0") : 1,
            [.. wishes.LogitBias.Select(bias => CheckedBias(bias.Key, bias.Value, vocabulary))]);
    }

    private static KeyValuePair<int, float> CheckedBias(uint id, float bias, int vocabulary) => id < vocabulary
        ? KeyValuePair.Create((int)id, Within($"logit_bias[{id}]", bias, -100, 100))
        : throw Refusal.Field("logit_bias", $"for token {id}", $"tokens 0 to {vocabulary - 1}");

    // Written so that NaN is refused too.
    private static float Within(string field, float value, float lowest, float highest, string? allowed = null) =>
        value >= lowest && value <= highest
            ? value
            : throw Refusal.Field(field, value, allowed ?? string.Create(CultureInfo.InvariantCulture, $"{lowest} to {highest}"));
}
