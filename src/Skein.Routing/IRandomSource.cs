namespace Skein.Routing;

/// <summary>Source of all randomness in routing, so that a simulated run can be repeated. Implementations are thread-safe.</summary>
public interface IRandomSource
{
    /// <summary>64 random bits.</summary>
    ulong NextUInt64();

    /// <summary>A number from 0 to <paramref name="exclusiveMax"/> - 1.</summary>
    /// <param name="exclusiveMax">At least 1.</param>
    int Next(int exclusiveMax) => (int)(((NextUInt64() >> 32) * (ulong)exclusiveMax) >> 32);
}

/// <summary>Random numbers that repeat with their seed: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).</summary>
public sealed class SeededRandomSource(ulong seed) : IRandomSource
{
    private const ulong Increment = 0x9E3779B97F4A7C15;
    private ulong _state = seed;

    public ulong NextUInt64() => Mix(Interlocked.Add(ref _state, Increment));

    /// <summary>SplitMix64's finalizer: every bit of the result depends on every bit of <paramref name="value"/>.</summary>
    public static ulong Mix(ulong value)
    {
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
