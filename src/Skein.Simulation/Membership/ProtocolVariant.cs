namespace Skein.Simulation.Membership;

/// <summary>The published protocols on the production core: SWIM with suspicion, which gossips and blocks as memberlist does, and Lifeguard.</summary>
internal sealed record ProtocolVariant : ProtocolRules
{
    private static readonly TimeSpan FullExchangeInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan GossipToTheDead = TimeSpan.FromSeconds(30);

    /// <summary>SWIM with suspicion as in its paper.</summary>
    public static ProtocolVariant Swim { get; } = new()
    {
        LocalHealth = false, Buddy = false, Corroboration = false, StreamProbes = false, ComparesViews = false, EndsProbesEarly = false,
        OneProbeAtATime = true,
    };

    /// <summary>SWIM plus the three parts of Lifeguard.</summary>
    public static ProtocolVariant Lifeguard { get; } = Swim with { LocalHealth = true, Buddy = true };

    /// <summary>Each target is drawn at random, as in SWIM's analysis; otherwise rounds are shuffled.</summary>
    public bool RandomTargets { get; init; }

    /// <summary>All members begin their periods at the same time, as in SWIM's analysis.</summary>
    public bool CommonPeriods { get; init; }

    public override TimeSpan GossipDelay(ProtocolOptions options) => options.GossipInterval;

    /// <summary>Recently dead members also receive gossip, which is how they learn of their death.</summary>
    public override int? PickGossipTargets(CoreState state, Span<MemberRecord> targets)
    {
        var count = state.Table.PickLive(state.Random, targets);
        var gone = state.Table.Gone;
        for (var i = 0; i < count; i++)
            if (state.Random.Next(state.Table.Live.Count + gone.Count) is var place && place < gone.Count && IsRecentlyDead(gone[place], state.Now))
                targets[i] = gone[place];
        return count;
    }

    public override TimeSpan FirstProbeDelay(CoreState state)
    {
        var period = state.Options.ProbePeriod;
        return CommonPeriods ? TimeSpan.FromTicks(period.Ticks - state.Now.Ticks % period.Ticks) : base.FirstProbeDelay(state);
    }

    public override MemberRecord? PickProbeTarget(CoreState state) =>
        RandomTargets ? state.Table.Live[state.Random.Next(state.Table.Live.Count)] : null;

    /// <summary>Full state is exchanged with a random member at intervals.</summary>
    public override void OnActivated(CoreState state) =>
        state.Timers.Set(state.Now + state.Random.Next(FullExchangeInterval), TimerKind.Rules);

    public override void OnTimer(CoreState state, AntiEntropy antiEntropy)
    {
        state.Timers.Set(state.Now + FullExchangeInterval, TimerKind.Rules);
        var partner = new MemberRecord[1];
        if (state.Phase == CorePhase.Active && state.Table.PickLive(state.Random, partner) > 0)
            antiEntropy.Exchange(partner[0].Address);
    }

    /// <summary>While sends block, as in memberlist, only these timers fire; a probe that began meanwhile has no time left.</summary>
    public static bool FiresWhileBlocked(TimerKind kind) => kind is TimerKind.Probe or TimerKind.Suspicion or TimerKind.Housekeeping;

    private static bool IsRecentlyDead(MemberRecord record, TimeSpan now) =>
        record.State == MemberState.Dead && now - record.Details.StateSince < GossipToTheDead;
}
