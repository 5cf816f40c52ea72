using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>The seam between a session and a replica. Thread-safe; the transport behind it is not routing's business.</summary>
public interface IReplicaLink
{
    /// <summary>
    /// Whether a running attempt sends at least a heartbeat within the link's silence bound. False for a link that cannot break: then only the engine's silence
    /// is bounded.
    /// </summary>
    bool HasHeartbeats(Replica replica) => true;

    /// <summary>
    /// Starts an attempt and returns its frames, heartbeats included. Cancelling, or disposing the enumerator early, aborts it on the replica.
    /// </summary>
    /// <param name="replica">The leased replica.</param>
    /// <param name="request">Not changed by the link, nor by the caller from now on: a link may still send it when the enumeration has ended.</param>
    /// <param name="cancellationToken">Ends the enumeration with <see cref="OperationCanceledException"/>, without waiting for the replica.</param>
    /// <exception cref="LinkException">The attempt ended in anything but a clean end of the stream.</exception>
    IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken);

    /// <summary>Lets a held attempt go on; its frames come through <see cref="GenerateAsync"/>.</summary>
    /// <exception cref="LinkException">It cannot.</exception>
    Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken);

    /// <summary>Asks whether the replica answers.</summary>
    /// <exception cref="LinkException">It does not.</exception>
    Task ProbeAsync(Replica replica, CancellationToken cancellationToken);
}

/// <summary>How an attempt ended that did not end well.</summary>
public enum LinkError
{
    /// <summary>No connection: the request never reached the replica.</summary>
    Unreachable,

    /// <summary>The connection broke.</summary>
    ConnectionLost,

    /// <summary>The replica or its engine failed this stream; the connection lives.</summary>
    EngineFailed,

    /// <summary>No slot was free, says the replica's own load report. Not a fault.</summary>
    NoSlot,

    /// <summary>The replica takes no new work. Not a fault.</summary>
    Draining,

    /// <summary>The replica does not serve the model (any more).</summary>
    ModelNotFound,

    /// <summary>The replica cannot go on from this journal.</summary>
    ResumeRefused,

    /// <summary>The request is wrong; no replica will serve it.</summary>
    InvalidRequest,

    /// <summary>Prompt and answer do not fit the model's context; no replica will serve it.</summary>
    ContextLengthExceeded,
}

/// <summary>An attempt ended by a status of the replica or a failure of the connection.</summary>
public sealed class LinkException(LinkError error, string message, LoadReport? load = null, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>What happened.</summary>
    public LinkError Error { get; } = error;

    /// <summary>The replica's load, where it came with the end.</summary>
    public LoadReport? Load { get; } = load;
}
