using Skein.Membership.Codec;
using Skein.Membership.Core;

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

/// <summary>One scheduled event of the simulation.</summary>
internal sealed class WorldEvent
{
    public required WorldEventKind Kind;
    public SimulatedMember? Member;
    public PeerAddress From;
    public byte[] Bytes = [];
    public ExchangeOutcome Outcome;
    public StreamState? Stream;
    public Action? Action;

    /// <summary>Index of the seed, or slot of the monitored connection.</summary>
    public int Number;

    /// <summary>The datagram was already queued behind others.</summary>
    public bool Waited;
}

/// <summary>One TCP exchange. It ends once, with its reply or at its deadline.</summary>
internal sealed class StreamState(SimulatedMember requester, ExchangeToken token)
{
    public readonly SimulatedMember Requester = requester;
    public readonly ExchangeToken Token = token;
    public bool Ended;

    /// <summary>Travel time of the reply; set when the request would arrive without loss.</summary>
    public TimeSpan? ReplyTakes;
}
