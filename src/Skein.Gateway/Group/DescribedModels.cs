using System.Collections.Frozen;
using System.Text;

namespace Skein.Gateway.Group;

/// <summary>The answer of one generation of a replica to Describe. Immutable.</summary>
internal sealed class DescribedModels
{
    private const int MostModels = 1024;
    private const int MostNameBytes = 256;
    private const int MostFingerprintChars = 256;

    private DescribedModels(ulong digest, FrozenDictionary<string, string> fingerprints) => (Digest, Fingerprints) = (digest, fingerprints);

    /// <summary>Digest of its models in gossip when it was asked: under another digest the answer is out of date.</summary>
    public ulong Digest { get; }

    /// <summary>Fingerprint of each model it serves; empty if the model has none.</summary>
    public FrozenDictionary<string, string> Fingerprints { get; }

    /// <summary>Keeps the valid parts of an answer: it is input from outside.</summary>
    public static DescribedModels From(ulong digest, DescribeResponse answer) => new(
        digest,
        answer.Models
            .Where(model => model.Name.Length > 0 && Encoding.UTF8.GetByteCount(model.Name) <= MostNameBytes)
            .Where(model => model.Fingerprint.Length <= MostFingerprintChars)
            .DistinctBy(model => model.Name, StringComparer.Ordinal)
            .Take(MostModels)
            .ToFrozenDictionary(model => model.Name, model => model.Fingerprint, StringComparer.Ordinal));
}
