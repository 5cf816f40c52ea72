namespace Skein.Simulation.Membership;

internal enum WorldEventKind
{
    Wake,
    Datagram,
    StreamRequest,
    StreamEnd,
    Resolved,
    ConnectionEnded,
    Action,
}

/// <param name="Member">The event is dropped unless this member runs; null: it concerns the whole world.</param>
/// <param name="Length">Bytes of its packet; part of the trace.</param>
internal sealed record WorldEvent(WorldEventKind Kind, SimulatedMember? Member, int Length, Action Run)
{
    /// <summary>The datagram was already queued behind others.</summary>
    public bool Waited { get; set; }
}

/// <summary>One TCP exchange. It ends once, with its reply or at its deadline.</summary>
internal sealed record StreamState(SimulatedMember Requester, ExchangeToken Token)
{
    public bool Ended { get; set; }

    /// <summary>Travel time of the reply; set when the request would arrive without loss.</summary>
    public TimeSpan? ReplyTakes { get; set; }
}
