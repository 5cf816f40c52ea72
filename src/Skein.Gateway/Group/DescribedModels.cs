using System.Collections.Frozen;
using System.Text;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Group;

/// <summary>The answer of one generation of a replica to Describe. Immutable.</summary>
internal sealed class DescribedModels
{
    private const int MostModels = 1024;
    private const int MostNameBytes = 256;
    private const int MostFingerprintChars = 256;

    private const int MostKindChars = 32;

    private DescribedModels(ulong digest, FrozenDictionary<string, string> fingerprints, string kind, string tier) =>
        (Digest, Fingerprints, Kind, Tier) = (digest, fingerprints, kind, tier);

    /// <summary>Digest of its models in gossip when it was asked: under another digest the answer is out of date.</summary>
    public ulong Digest { get; }

    /// <summary>Fingerprint of each model it serves; empty if the model has none.</summary>
    public FrozenDictionary<string, string> Fingerprints { get; }

    /// <summary>Kind of its engine; empty if it is not printable ASCII of a sensible length.</summary>
    public string Kind { get; }

    /// <summary>See <see cref="ReplicaDescription.Tier"/>.</summary>
    public string Tier { get; }

    /// <summary>How well a lost answer of the best of some models can be resumed, in a word; empty without models.</summary>
    public static string BestTier(IEnumerable<ModelDescription> models) => models.Select(model => model.ResumeTier).DefaultIfEmpty().Max() switch
    {
        ResumeTier.Exact => "exact",
        ResumeTier.Tokens => "tokens",
        ResumeTier.Text => "text",
        ResumeTier.None => "none",
        _ => "",
    };

    /// <summary>Keeps the valid parts of an answer: it is input from outside.</summary>
    public static DescribedModels From(ulong digest, DescribeResponse answer) => new(
        digest,
        answer.Models
            .Where(model => model.Name.Length > 0 && Encoding.UTF8.GetByteCount(model.Name) <= MostNameBytes)
            .Where(model => model.Fingerprint.Length <= MostFingerprintChars)
            .DistinctBy(model => model.Name, StringComparer.Ordinal)
            .Take(MostModels)
            .ToFrozenDictionary(model => model.Name, model => model.Fingerprint, StringComparer.Ordinal),
        answer.Engine.Length <= MostKindChars && !answer.Engine.AsSpan().ContainsAnyExceptInRange(' ', '~') ? answer.Engine : "",
        BestTier(answer.Models));
}
