using Skein.Engines.Embedded.Sampling;

namespace Skein.Engines.Embedded.Generation;

/// <summary>A checked request.</summary>
/// <param name="Prompt">At least one token.</param>
/// <param name="Echo">Text in front of the answer.</param>
/// <param name="MaxTokens">Most tokens of the answer, including the resumed ones. Together with the prompt they fit the context.</param>
/// <param name="TopLogprobs">How many of the likeliest tokens to report with each token; null: no log probabilities.</param>
internal sealed record GenerationPlan(
    int[] Prompt,
    byte[] Echo,
    int MaxTokens,
    IReadOnlyList<string> Stops,
    SamplingRules Sampling,
    int? TopLogprobs,
    Resume? Resume);
