namespace Skein.Routing;

/// <summary>Random numbers that repeat with their seed: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).</summary>
public sealed class SeededRandomSource(ulong seed) : IRandomSource
{
    private const ulong Increment = 0x9E3779B97F4A7C15;
    private ulong _state = seed;

    /// <inheritdoc/>
    public ulong NextUInt64() => Mix(Interlocked.Add(ref _state, Increment));

    /// <summary>SplitMix64's finalizer: every bit of the result depends on every bit of <paramref name="value"/>.</summary>
    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
