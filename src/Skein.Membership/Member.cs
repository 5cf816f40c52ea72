using Skein.Protocol.V1;

namespace Skein.Membership;

/// <summary>The newest generation of one name, as one member sees it. Immutable.</summary>
public sealed record Member
{
    /// <summary>Unique in the cluster.</summary>
    public required string Name { get; init; }

    public required MemberState State { get; init; }

    /// <summary>Generation of the name. A restarted process has a higher one.</summary>
    public required ulong Generation { get; init; }

    /// <summary>SWIM's refutation counter within the generation.</summary>
    public required uint Incarnation { get; init; }

    /// <summary>Address of its gossip port, UDP and TCP.</summary>
    public required IPEndPoint Gossip { get; init; }

    /// <summary>What the member says about itself. Shared between snapshots: must not be changed.</summary>
    public required MemberMetadata Metadata { get; init; }

    /// <summary>Requests in flight, as last gossiped (seconds old); null if never reported.</summary>
    public int? InFlight { get; init; }

    /// <summary>Queued requests, as last gossiped (seconds old); null if never reported.</summary>
    public int? Queued { get; init; }

    /// <summary>The evidence for its death; <see cref="DeathCause.None"/> unless dead.</summary>
    public DeathCause Death { get; init; }

    /// <summary>Whether this is the member whose view the snapshot is.</summary>
    public bool IsSelf { get; init; }

    /// <summary><c>gateway</c> or <c>replica</c>; empty if it reports none.</summary>
    public string Role => Metadata.Role;

    /// <summary>Alive or suspect: it may receive work.</summary>
    public bool IsLive => State is MemberState.Alive or MemberState.Suspect;
}

/// <summary>One member's belief about another. The numbers are those of the wire protocol, and the order in which updates override each other.</summary>
public enum MemberState
{
    /// <summary>The update carries no state. Never in a snapshot.</summary>
    None = 0,

    /// <summary>The member answers.</summary>
    Alive = 1,

    /// <summary>Some member found it silent, and it may still refute. It counts as live and keeps its work.</summary>
    Suspect = 2,

    /// <summary>
    /// At least two members found it silent, and it did not refute in time. A flapping or partly isolated member also declares itself dead for a
    /// while, and then is dead in its own snapshots.
    /// </summary>
    Dead = 3,

    /// <summary>The member announced that it leaves. Final for its generation.</summary>
    Left = 4,
}

/// <summary>The evidence for a death.</summary>
public enum DeathCause
{
    /// <summary>The member is not dead.</summary>
    None,

    /// <summary>Its host refused connections: the process does not run. Detection takes milliseconds.</summary>
    Refused,

    /// <summary>It was silent until its suspicion window ended, or declared itself dead. Detection takes seconds.</summary>
    Silent,
}
