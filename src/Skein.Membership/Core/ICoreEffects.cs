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
