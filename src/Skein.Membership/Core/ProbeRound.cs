using System.Runtime.InteropServices;

namespace Skein.Membership.Core;

/// <summary>
/// The order of routine probes. Every other one goes to the next member on the ring, so that each member is probed by its predecessor
/// within two periods; the rest goes round the group in an order shuffled for each round (SWIM, DSN 2002, section 4.3), so that everybody
/// is probed by everybody, and a predecessor that fails too hides nothing. Newcomers take part from the next round on.
/// </summary>
internal sealed class ProbeRound(CoreState state)
{
    private readonly List<MemberRecord> _order = [];
    private readonly MemberRecord[] _successor = new MemberRecord[1];
    private bool _ringsTurn;
    private int _next;

    /// <summary>Whose turn it is; null where there is nobody.</summary>
    public MemberRecord? Next()
    {
        IReadOnlyList<MemberRecord> live = state.Table.Live;
        if (live.Count == 0)
            return null;
        if (state.Variant.RandomTargets)
            return live[state.Random.Next(live.Count)];
        _ringsTurn = state.Options.RingProbes && !_ringsTurn;
        return _ringsTurn && Ring.Successors(live, state.Self.Id, _successor) > 0 ? _successor[0] : NextInRound(live);
    }

    private MemberRecord? NextInRound(IReadOnlyList<MemberRecord> live)
    {
        for (int rounds = 0; rounds < 2; rounds++)
        {
            while (_next < _order.Count)
                if (_order[_next++] is { IsLive: true } target)
                    return target;
            _order.Clear();
            _order.AddRange(live);
            state.Random.Shuffle(CollectionsMarshal.AsSpan(_order));
            _next = 0;
        }
        return null;
    }
}
