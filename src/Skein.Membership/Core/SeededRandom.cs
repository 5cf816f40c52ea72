namespace Skein.Membership.Core;

/// <summary>SplitMix64 (Steele, Lea, Flood, 2014): small, fast, and the same numbers on every runtime, which a replay by seed needs.</summary>
internal sealed class SeededRandom(ulong seed)
{
    private ulong _state = seed;

    public ulong NextUInt64() => Mix(_state += 0x9E37_79B9_7F4A_7C15);

    /// <summary>Uniform in 0 .. bound - 1.</summary>
    public int Next(int bound) => (int)(((NextUInt64() >> 32) * (ulong)bound) >> 32);

    /// <summary>Uniform in [0, span).</summary>
    public TimeSpan Next(TimeSpan span) => TimeSpan.FromTicks((long)Math.BigMul(NextUInt64(), (ulong)span.Ticks, out _));

    /// <summary>True with probability permille / 1000.</summary>
    public bool Chance(int permille) => Next(1000) < permille;

    public void Shuffle<T>(Span<T> items)
    {
        for (var i = items.Length - 1; i > 0; i--)
        {
            var j = Next(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    /// <summary>Bijective 64-bit mixer: every output bit depends on every input bit.</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
