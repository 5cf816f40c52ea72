using System.Runtime.CompilerServices;

namespace Skein.Membership.Codec;

/// <summary>Up to four distinct member ids, by value. A fifth is not needed: two are proof enough, and three end the suspicion's decay.</summary>
internal struct AccuserSet
{
    private Ids _ids;

    public int Count { get; private set; }

    public readonly bool IsFull => Count == WireLimits.Accusers;

    public readonly ulong this[int index] => _ids[index];

    public readonly bool Contains(ulong id)
    {
        for (var i = 0; i < Count; i++)
            if (_ids[i] == id)
                return true;
        return false;
    }

    /// <summary>True where the id was new and there was room.</summary>
    public bool Add(ulong id)
    {
        if (IsFull || Contains(id))
            return false;
        _ids[Count++] = id;
        return true;
    }

    /// <summary>Answers how many ids were copied.</summary>
    public readonly int CopyTo(Span<ulong> ids)
    {
        for (var i = 0; i < Count; i++)
            ids[i] = _ids[i];
        return Count;
    }

    [InlineArray(WireLimits.Accusers)]
    private struct Ids
    {
        private ulong _first;
    }
}
