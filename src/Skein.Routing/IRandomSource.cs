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
