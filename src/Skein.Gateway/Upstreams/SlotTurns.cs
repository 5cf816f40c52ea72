namespace Skein.Gateway.Upstreams;

/// <summary>
/// Shares one server that has fewer slots than there are gateways for it: its slots go round. A turn is a number that only rises; turn t gives the slots to
/// the gateways from rank t on. The first of them passes its slot to the next one without, once another gateway has waiting requests and its own request has
/// ended. The highest turn that any gateway publishes counts. Gateways that see different members for a moment may use the server at the same time: it then
/// ends one of the requests, which is made again. No clock: time is an input. Not thread-safe.
/// </summary>
internal sealed class SlotTurns
{
    /// <summary>Shortest time for which a gateway keeps its slot while others wait.</summary>
    private static readonly TimeSpan LeastHold = TimeSpan.FromMilliseconds(200);

    private TimeSpan _heldSince;
    private bool _isPassing;

    /// <summary>The newest turn. Wraps around.</summary>
    public uint Turn { get; private set; }

    /// <summary>Another gateway published this turn.</summary>
    public void Learn(uint turn, TimeSpan now)
    {
        // Not greater than: the number wraps around.
        if ((int)(turn - Turn) <= 0)
            return;
        (Turn, _heldSince, _isPassing) = (turn, now, false);
    }

    /// <summary>The place of a gateway for the share of slots: the first places have one.</summary>
    /// <param name="count">Gateways that share the server.</param>
    /// <param name="rank">Number of this one among them, from 0.</param>
    /// <param name="slots">Slots of the server.</param>
    public int RankOf(int count, int rank, int slots) =>
        slots >= count ? rank : (rank + count - (int)((Turn + (_isPassing ? 1u : 0u)) % (uint)count)) % count;

    /// <summary>Decides anew whether this gateway passes its slot.</summary>
    /// <param name="running">Requests of this gateway on the server.</param>
    /// <param name="othersWait">Whether another gateway has waiting requests.</param>
    /// <returns>Whether <see cref="Turn"/> has risen: it must be published.</returns>
    public bool TryPass(int count, int rank, int slots, int running, bool othersWait, TimeSpan now)
    {
        var isFirst = slots < count && (int)(Turn % (uint)count) == rank;
        if (!isFirst)
        {
            _isPassing = false;
            return false;
        }
        _isPassing |= othersWait && now - _heldSince >= LeastHold;
        if (!_isPassing || running > 0)
            return false;
        (Turn, _isPassing) = (Turn + 1, false);
        return true;
    }
}
