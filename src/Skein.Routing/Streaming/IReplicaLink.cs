using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>The seam between a session and a replica. Thread-safe; the transport behind it is not routing's business.</summary>
public interface IReplicaLink
{
    /// <summary>
    /// Starts an attempt and returns its frames, heartbeats included. Cancelling, or disposing the enumerator early, aborts it on the replica.
    /// </summary>
    /// <param name="replica">The leased replica.</param>
    /// <param name="request">Not changed by the link, nor by the caller from now on: a link may still send it when the enumeration has ended.</param>
    /// <param name="cancellationToken">Ends the enumeration with <see cref="OperationCanceledException"/>, without waiting for the replica.</param>
    /// <exception cref="FaultException">The attempt ended in anything but a clean end of the stream.</exception>
    IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken);

    /// <summary>Lets a held attempt go on; its frames come through <see cref="GenerateAsync"/>.</summary>
    /// <exception cref="FaultException">It cannot.</exception>
    Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken);

    /// <summary>Asks whether the replica answers.</summary>
    /// <exception cref="FaultException">It does not.</exception>
    Task ProbeAsync(Replica replica, CancellationToken cancellationToken);
}
