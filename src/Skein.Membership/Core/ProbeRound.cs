namespace Skein.Membership.Core;

/// <summary>
/// The order of routine probes. Every other one goes to the next member on the ring, so that each member is probed by its predecessor
/// within two periods; the rest goes round the group in an order shuffled for each round (SWIM, DSN 2002, section 4.3), so that everybody
/// is probed by everybody, and a predecessor that fails too hides nothing.
/// </summary>
internal sealed class ProbeRound(CoreState state)
{
    private bool _ringsTurn;

    /// <summary>Whose turn it is; null where there is nobody.</summary>
    public MemberRecord? Next()
    {
        var live = state.Table.Live;
        if (live.Count == 0)
            return null;
        if (state.Variant.RandomTargets)
            return live[state.Random.Next(live.Count)];
        _ringsTurn = state.Options.RingProbes && !_ringsTurn;
        return _ringsTurn ? state.Table.Successor() : state.Table.NextInRound(state.Random);
    }
}
