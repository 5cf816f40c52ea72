using System.Runtime.CompilerServices;

namespace Skein.Membership.Codec;

/// <summary>Up to four distinct member ids, by value. More are not needed: two prove a death, and three end the decay of a suspicion window.</summary>
internal struct AccuserSet
{
    private Buffer _ids;

    public int Count { get; private set; }

    [UnscopedRef]
    public readonly ReadOnlySpan<ulong> Ids => ((ReadOnlySpan<ulong>)_ids)[..Count];

    /// <summary>Returns whether the id was added: it is new, and the set is not full.</summary>
    public bool Add(ulong id)
    {
        if (Count == WireLimits.Accusers || Ids.Contains(id))
            return false;
        _ids[Count++] = id;
        return true;
    }

    [InlineArray(WireLimits.Accusers)]
    private struct Buffer
    {
        private ulong _first;
    }
}
