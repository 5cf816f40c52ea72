namespace Skein.Engines;

/// <summary>
/// Stateless randomness: hashes that are the same on every machine. The mixing function is SplitMix64's (Steele, Lea and Flood, "Fast
/// splittable pseudorandom number generators", 2014).
/// </summary>
internal static class SplitMix
{
    public static ulong Mix(ulong key, ulong value)
    {
        var z = key + (0x9E3779B97F4A7C15UL * (value + 1));
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9UL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBUL;
        return z ^ (z >> 31);
    }

    public static ulong Mix(ulong key, ReadOnlySpan<uint> values)
    {
        var mixed = Mix(key, (ulong)values.Length);
        foreach (var value in values)
            mixed = Mix(mixed, value);

        return mixed;
    }

    public static ulong Mix(ulong key, string text)
    {
        var mixed = key;
        foreach (var unit in Encoding.UTF8.GetBytes(text))
            mixed = Mix(mixed, unit);

        return mixed;
    }

    /// <summary>A number from 0 to below 1 that depends on seed and position alone, so that a resumed answer draws the same numbers.</summary>
    public static double Unit(ulong seed, int position) => ToUnit(Mix(Mix(seed, 0) + (ulong)position, 0));

    /// <summary>The hash as a number from 0 to below 1.</summary>
    public static double ToUnit(ulong hash) => (hash >> 11) * (1.0 / (1UL << 53));
}
