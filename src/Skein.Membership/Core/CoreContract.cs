using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Configuration of a core. The generation is Unix milliseconds at start; activation raises it above the highest known one of the name. The
/// metadata is opaque, at most 512 bytes. The shell resolves the seeds.
/// </summary>
internal sealed record CoreSettings(
    string Name, string Cluster, PeerAddress Address, ulong Generation, byte[] Metadata, IReadOnlyList<string> Seeds, ProtocolOptions Options)
{
    public GossipKeys Keys { get; init; } = GossipKeys.None;

    /// <summary>Creates the facts of other members. A simulation shares them between views.</summary>
    public FactsReader ReadFacts { get; init; } = MemberFacts.Read;

    public ProtocolRules Rules { get; init; } = ProtocolRules.Default;
}

/// <summary>
/// Outputs of the core. Calls are made synchronously during an input; spans are valid during the call only. The results of
/// <see cref="Exchange"/>, <see cref="Monitor"/> and <see cref="Resolve"/> return as inputs.
/// </summary>
internal interface ICoreEffects
{
    void Send(PeerAddress to, ReadOnlySpan<byte> datagram);

    /// <summary>Opens a TCP stream, sends the request and waits for one reply. Result: <see cref="MembershipCore.ExchangeEnded"/>.</summary>
    void Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout);

    /// <summary>Keeps a connection to that peer instead of the previous one of the slot; <c>default</c> only closes.</summary>
    void Monitor(int slot, PeerAddress to, ReadOnlySpan<byte> request);

    /// <summary>Resolves the address of a seed. Result: <see cref="MembershipCore.SeedResolved"/>.</summary>
    void Resolve(int seed);

    void BeaconReceived(MemberRecord from, LoadUpdate load);

    void Report(CoreEvent what, MemberRecord about);
}

internal readonly record struct ExchangeToken(ExchangePurpose Purpose, ulong Key);

internal enum ExchangePurpose
{
    Probe,
    Seed,
    NameCheck,
    AntiEntropy,
}

internal enum ExchangeOutcome
{
    Replied,

    /// <summary>The host refused the connection: the process does not run.</summary>
    Refused,

    /// <summary>Timeout, or the connection broke.</summary>
    Failed,

    /// <summary>The reply belongs to another cluster, protocol version or key.</summary>
    Unreadable,
}

internal enum CoreEvent
{
    Joined,
    Suspected,

    /// <summary>A suspect or dead member is alive at a higher incarnation.</summary>
    Refuted,
    Died,
    Left,

    /// <summary>This member was accused and raised its incarnation.</summary>
    RefutedOwn,

    /// <summary>A newer generation of this member's name exists; the record describes it.</summary>
    Superseded,

    /// <summary>An older generation of this member's name answers, so this member must not start.</summary>
    NameTaken,

    /// <summary>The name is free, and this member is active.</summary>
    Activated,
    LeaveAnnounced,

    /// <summary>The group is at its limit; a new member was not added.</summary>
    GroupFull,

    /// <summary>The process was paused; pending probes are void.</summary>
    Resumed,
}

/// <summary>
/// The decisions in which the published SWIM and Lifeguard protocols differ from this implementation. Production always uses
/// <see cref="Default"/>; the simulator runs the published protocols on this core.
/// </summary>
internal record ProtocolRules
{
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

    public virtual TimeSpan FirstProbeDelay(CoreState state) => state.Random.Next(state.Options.ProbePeriod);

    /// <summary>The target of the next routine probe; null selects the core's own order.</summary>
    public virtual MemberRecord? PickProbeTarget(CoreState state) => null;

    /// <summary>Called once when the member becomes active; may set <see cref="TimerKind.Rules"/>.</summary>
    public virtual void OnActivated(CoreState state)
    {
    }

    public virtual void OnTimer(CoreState state, AntiEntropy antiEntropy)
    {
    }
}
