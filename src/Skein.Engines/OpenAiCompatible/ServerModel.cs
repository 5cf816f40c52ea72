using Skein.Engines.OpenAiCompatible.Tokens;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>One model of a server, with what was found out about it. Immutable.</summary>
/// <param name="Facts">What the server reports of it.</param>
/// <param name="Description">Its description under the server's own name.</param>
/// <param name="Aliases">Further names under which it is served.</param>
/// <param name="Tiers">Chooses the calls of a request.</param>
/// <param name="Tokens">Generates through token ids; null: the server has no such calls, or they do not serve this model.</param>
/// <param name="IsGenerating">False for a model that only makes embeddings or the like.</param>
/// <param name="IsTried">False if it is not loaded yet, or the server was too busy to try it: it is tried again.</param>
internal sealed record ServerModel(
    ModelFacts Facts, ModelDescription Description, IReadOnlyList<string> Aliases, ResumeTiers Tiers, TokenGeneration? Tokens, bool IsGenerating, bool IsTried)
{
    public IEnumerable<string> Names => Aliases.Prepend(Facts.Name);

    /// <summary>Its descriptions, one for each name.</summary>
    public IEnumerable<ModelDescription> Descriptions => Names.Select(name => new ModelDescription(Description) { Name = name });

    /// <summary>The same model with what the server says of it now. Many servers give the time of the list as its time: that is no change.</summary>
    public ServerModel With(ModelFacts facts) => Lasting(facts.Metadata).Span.SequenceEqual(Lasting(Facts.Metadata).Span)
        ? this
        : this with { Facts = facts, Description = new ModelDescription(Description) { Metadata = facts.Metadata } };

    private static ReadOnlyMemory<byte> Lasting(ByteString metadata) =>
        metadata.IsEmpty ? default : RawMembers.Except(JsonElement.Parse(metadata.Span), ["created"]);
}
