namespace Skein.Engines.Embedded.Sampling;

/// <summary>
/// Randomness without a state: a number is a function of seed and position alone, so that a resumed answer meets the same numbers.
/// The mixing is SplitMix64's (Steele, Lea and Flood, 2014), applied to the seed and then to seed and position.
/// </summary>
internal static class CounterRandom
{
    /// <summary>A number from 0 (inclusive) to 1 (exclusive).</summary>
    public static double Unit(ulong seed, int position) => (Mix(Mix(seed) + (ulong)position) >> 11) * (1.0 / (1UL << 53));

    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
