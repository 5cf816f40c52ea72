using System.Net;
using Skein.Protocol.V1;

namespace Skein.Membership;

/// <summary>One member as this one sees it: the newest life of its name. Immutable.</summary>
public sealed record Member
{
    /// <summary>Unique in the cluster.</summary>
    public required string Name { get; init; }

    /// <summary>What is believed of it.</summary>
    public required MemberState State { get; init; }

    /// <summary>Life of the name: a restarted process has a higher one.</summary>
    public required ulong Generation { get; init; }

    /// <summary>How many times this life has refuted an accusation, at least.</summary>
    public required uint Incarnation { get; init; }

    /// <summary>Where it gossips, UDP and TCP.</summary>
    public required IPEndPoint Gossip { get; init; }

    /// <summary>What it tells about itself. Shared between snapshots: must not be changed.</summary>
    public required MemberMetadata Metadata { get; init; }

    /// <summary>Requests it runs, as last gossiped (a slow fact, seconds old); null where it never said.</summary>
    public int? InFlight { get; init; }

    /// <summary>Waiters in its line, as last gossiped; null where it never said.</summary>
    public int? Queued { get; init; }

    /// <summary>Why it was declared dead; none unless it is.</summary>
    public DeathCause Death { get; init; }

    /// <summary>Whether this is the member that holds the snapshot.</summary>
    public bool IsSelf { get; init; }

    /// <summary><c>gateway</c> or <c>replica</c>; empty where it says nothing.</summary>
    public string Role => Metadata.Role;

    /// <summary>Alive or suspect: work may go there.</summary>
    public bool IsLive => State is MemberState.Alive or MemberState.Suspect;
}
