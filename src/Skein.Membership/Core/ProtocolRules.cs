namespace Skein.Membership.Core;

/// <summary>
/// The decisions in which the published SWIM and Lifeguard protocols differ from this implementation. Production always uses
/// <see cref="Default"/>; the simulator runs the published protocols on this core.
/// </summary>
internal record ProtocolRules
{
    /// <summary>The rules of this implementation.</summary>
    public static ProtocolRules Default { get; } = new();

    /// <summary>Local health scales timeouts, and helpers send nacks (Lifeguard: LHA-Probe).</summary>
    public bool LocalHealth { get; init; } = true;

    /// <summary>Pings and acks inform a suspect about its suspicion (Lifeguard: Buddy).</summary>
    public bool Buddy { get; init; } = true;

    /// <summary>A death needs two accusers and an own probe; windows grow with the suspects; a paused or isolated member postpones its verdicts.</summary>
    public bool Corroboration { get; init; } = true;

    /// <summary>Silent members are also probed over TCP.</summary>
    public bool StreamProbes { get; init; } = true;

    /// <summary>A silent member becomes suspect before it is declared dead.</summary>
    public bool Suspicion { get; init; } = true;

    /// <summary>Views are compared by digest, and senders with stale knowledge are corrected.</summary>
    public bool ComparesViews { get; init; } = true;

    /// <summary>A probe ends with its indirect round. Otherwise it ends with the probe period.</summary>
    public bool EndsProbesEarly { get; init; } = true;

    /// <summary>A new probe waits until the previous one has ended.</summary>
    public bool OneProbeAtATime { get; init; }

    /// <summary>Updates also travel in packets of their own, not only on pings and acks.</summary>
    public bool SendsGossip { get; init; } = true;

    /// <summary>Time between a new update and the first gossip round that carries it.</summary>
    public virtual TimeSpan GossipDelay(ProtocolOptions options) => TimeSpan.FromMilliseconds(5);

    /// <summary>Fills the targets of a gossip round and returns their number; null selects the core's own choice.</summary>
    public virtual int? PickGossipTargets(CoreState state, Span<MemberRecord> targets) => null;

    /// <summary>Time from activation to the first probe.</summary>
    public virtual TimeSpan FirstProbeDelay(CoreState state) => state.Random.Next(state.Options.ProbePeriod);

    /// <summary>The target of the next routine probe; null selects the core's own order.</summary>
    public virtual MemberRecord? PickProbeTarget(CoreState state) => null;

    /// <summary>Called once when the member becomes active; may set <see cref="TimerKind.Rules"/>.</summary>
    public virtual void OnActivated(CoreState state)
    {
    }

    /// <summary>A timer of kind <see cref="TimerKind.Rules"/> is due.</summary>
    public virtual void OnTimer(CoreState state, AntiEntropy antiEntropy)
    {
    }
}
