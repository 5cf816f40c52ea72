namespace Skein.Membership.Core;

/// <summary>
/// The order of routine probes: every member once a round, in an order that is shuffled for each round, which bounds the time until a
/// silent member is probed (SWIM, DSN 2002, section 4.3). Newcomers take part from the next round on.
/// </summary>
internal sealed class ProbeRound
{
    private readonly List<MemberRecord> _order = [];
    private int _next;

    /// <summary>Whose turn it is; null where there is nobody.</summary>
    public MemberRecord? Next(IReadOnlyList<MemberRecord> live, SeededRandom random)
    {
        for (int rounds = 0; rounds < 2; rounds++)
        {
            while (_next < _order.Count)
                if (_order[_next++] is { IsLive: true } target)
                    return target;
            _order.Clear();
            _order.AddRange(live);
            random.Shuffle<MemberRecord>(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_order));
            _next = 0;
        }
        return null;
    }
}
