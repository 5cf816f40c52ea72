using Skein.Protocol.V1;

namespace Skein.Protocol;

/// <summary>Names of resume tiers in headers and metrics.</summary>
public static class ResumeTierNames
{
    /// <summary>The name of a tier; null for <see cref="ResumeTier.Unspecified"/> and unknown values.</summary>
    public static string? ToWireName(this ResumeTier tier) => tier switch
    {
        ResumeTier.Exact => "exact",
        ResumeTier.Tokens => "tokens",
        ResumeTier.Text => "text",
        ResumeTier.None => "none",
        _ => null,
    };
}
