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

/// <summary>Something that happens to one member at one moment.</summary>
internal sealed class WorldEvent
{
    public required WorldEventKind Kind { get; init; }

    public SimulatedMember? Member { get; init; }

    public PeerAddress From { get; init; }

    public byte[] Bytes { get; init; } = [];

    public ExchangeOutcome Outcome { get; init; }

    /// <summary>The stream that this belongs to.</summary>
    public StreamState? Stream { get; init; }

    /// <summary>Which seed, or which slot of a watch.</summary>
    public int Number { get; init; }

    public Action? Action { get; init; }

    /// <summary>A datagram that has been given its turn.</summary>
    public bool Waited { get; set; }
}

/// <summary>One exchange: it ends once, by its reply or at its deadline.</summary>
internal sealed class StreamState(SimulatedMember asker, ExchangeToken token)
{
    public SimulatedMember Asker { get; } = asker;

    public ExchangeToken Token { get; } = token;

    public bool Ended { get; set; }

    /// <summary>How long the reply is on its way; known from the moment on when the request would come if nothing of it were lost.</summary>
    public TimeSpan? ReplyTakes { get; set; }
}
