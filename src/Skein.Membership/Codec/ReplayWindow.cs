namespace Skein.Membership.Codec;

/// <summary>
/// Lets each packet counter of one life pass once: a sliding bitmap over the newest 2,048 of them, as IPsec does it (RFC 6479). What is
/// older is refused unseen, so that packets may overtake each other, and a recorded one is worth nothing.
/// </summary>
internal sealed class ReplayWindow
{
    private readonly ulong[] _seen = new ulong[Words];
    private ulong _highest;
    private const int WordBits = 64;

    /// <summary>One word more than the window, so that moving on clears whole words.</summary>
    private const int Words = (int)Size / WordBits + 1;

    /// <summary>How far a packet may be overtaken: counters run over all receivers of the sender, about a second of a lively one.</summary>
    public const ulong Size = 2048;

    /// <summary>True the first time for a counter that is not too old.</summary>
    public bool TryPass(ulong counter)
    {
        if (_highest >= Size && counter <= _highest - Size)
            return false;
        if (counter > _highest)
            MoveTo(counter);
        ref var word = ref _seen[WordOf(counter) % Words];
        var bit = 1UL << (int)(counter % WordBits);
        var isNew = (word & bit) == 0;
        word |= bit;
        return isNew;
    }

    private void MoveTo(ulong counter)
    {
        var steps = Math.Min(WordOf(counter) - WordOf(_highest), Words);
        for (ulong step = 0; step < steps; step++)
            _seen[(WordOf(counter) - step) % Words] = 0;
        _highest = counter;
    }

    private static ulong WordOf(ulong counter) => counter / WordBits;
}
