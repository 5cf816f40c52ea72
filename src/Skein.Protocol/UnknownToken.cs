namespace Skein.Protocol;

/// <summary>Stands for a token whose id the engine did not tell.</summary>
public static class UnknownToken
{
    /// <summary>The largest 32-bit number: no vocabulary has a token with this id.</summary>
    public const uint Id = uint.MaxValue;
}
