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
    public required WorldEventKind Kind { get; init; }

    public SimulatedMember? Member { get; init; }

    public PeerAddress From { get; init; }

    public byte[] Bytes { get; init; } = [];

    public ExchangeOutcome Outcome { get; init; }

    /// <summary>The stream of a request or reply.</summary>
    public StreamState? Stream { get; init; }

    /// <summary>Index of the seed, or slot of the monitored connection.</summary>
    public int Number { get; init; }

    public Action? Action { get; init; }

    /// <summary>The datagram was already queued behind others.</summary>
    public bool Waited { get; set; }
}

/// <summary>One TCP exchange. It ends once, with its reply or at its deadline.</summary>
internal sealed class StreamState(SimulatedMember requester, ExchangeToken token)
{
    public SimulatedMember Requester { get; } = requester;

    public ExchangeToken Token { get; } = token;

    public bool Ended { get; set; }

    /// <summary>Travel time of the reply; set when the request would arrive without loss.</summary>
    public TimeSpan? ReplyTakes { get; set; }
}
