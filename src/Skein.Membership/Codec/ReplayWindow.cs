namespace Skein.Membership.Codec;

/// <summary>Accepts each packet counter of a generation once: a sliding bitmap over the newest 2,048 counters, as in IPsec (RFC 6479).</summary>
internal sealed class ReplayWindow
{
    private readonly ulong[] _seen = new ulong[Words];
    private ulong _highest;
    private const int WordBits = 64;

    /// <summary>One word more than the window, so that an advance clears whole words.</summary>
    private const int Words = (int)Size / WordBits + 1;

    /// <summary>Allowed reordering in packets. The sender counts across all receivers: about one second of a busy sender.</summary>
    public const ulong Size = 2048;

    public bool TryAccept(ulong counter)
    {
        if (_highest >= Size && counter <= _highest - Size)
            return false;
        if (counter > _highest)
            AdvanceTo(counter);
        ref var word = ref _seen[WordOf(counter) % Words];
        var bit = 1UL << (int)(counter % WordBits);
        var isNew = (word & bit) == 0;
        word |= bit;
        return isNew;
    }

    private void AdvanceTo(ulong counter)
    {
        var steps = Math.Min(WordOf(counter) - WordOf(_highest), Words);
        for (ulong step = 0; step < steps; step++)
            _seen[(WordOf(counter) - step) % Words] = 0;
        _highest = counter;
    }

    private static ulong WordOf(ulong counter) => counter / WordBits;
}
