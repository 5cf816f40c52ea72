using System.Security.Cryptography;
using System.Text;
using Skein.Engines.OpenAiCompatible.Probing;

namespace Skein.Engines.OpenAiCompatible;

/// <summary>Hashes of what servers tell and do; docs/engines.md says what they prove.</summary>
internal static class Fingerprints
{
    /// <summary>Part of every fingerprint: raised when answers are read or resumed differently.</summary>
    private const string AdapterVersion = "skein-openai-1";

    /// <param name="kind">Whose server.</param>
    /// <param name="model">What it tells.</param>
    /// <param name="canary">Ids of its answer to a fixed prompt; empty where it tells no ids.</param>
    public static string Of(OpenAiEngineKind kind, ModelFacts model, IEnumerable<uint> canary)
    {
        var told = string.Join('\n', AdapterVersion, kind.ToWireName(), model.Name, model.Identity, string.Join(',', canary));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(told)).AsSpan(0, 16));
    }
}
