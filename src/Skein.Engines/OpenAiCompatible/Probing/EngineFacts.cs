namespace Skein.Engines.OpenAiCompatible.Probing;

/// <summary>What a server tells of itself.</summary>
/// <param name="Kind">Whose it is; never <see cref="OpenAiEngineKind.Auto"/>.</param>
/// <param name="Models">At least one.</param>
/// <param name="Slots">Requests it runs at the same time; null where it does not say.</param>
/// <param name="SpeaksOfReasoning">Whether the model's template, as far as it is shown, does.</param>
internal sealed record EngineFacts(OpenAiEngineKind Kind, IReadOnlyList<ModelFacts> Models, int? Slots, bool SpeaksOfReasoning);

/// <summary>What a server tells of one model.</summary>
/// <param name="Name">As requests name it.</param>
/// <param name="ContextTokens">Of one request; 0 where unknown.</param>
/// <param name="VocabularySize">0 where unknown.</param>
/// <param name="Identity">Everything that tells it from others, in a fixed order.</param>
internal sealed record ModelFacts(string Name, int ContextTokens, int VocabularySize, string Identity);
