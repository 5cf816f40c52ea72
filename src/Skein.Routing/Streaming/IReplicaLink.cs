using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Connects sessions to replicas; hides the transport. Thread-safe.</summary>
public interface IReplicaLink
{
    /// <summary>
    /// Whether the connection can break. Then an attempt without any frame, heartbeats included, is lost after the link's silence bound. Otherwise only the
    /// engine's silence is bounded.
    /// </summary>
    bool CanBreak(Replica replica) => true;

    /// <summary>
    /// Starts an attempt and returns its frames, heartbeats included. Cancelling, or disposing the enumerator early, aborts it on the replica.
    /// </summary>
    /// <param name="request">Changed neither by the link nor by the caller from now on: a link may still send it after the enumeration has ended.</param>
    /// <param name="cancellationToken">Ends the enumeration with <see cref="OperationCanceledException"/>, without waiting for the replica.</param>
    /// <exception cref="FaultException">The attempt did not end cleanly.</exception>
    IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken);

    /// <summary>
    /// Passes a call that is not generation to the replica, and its answer back. Cancelling, or disposing the enumerator early, stops the call there.
    /// </summary>
    /// <param name="request">Not changed.</param>
    /// <exception cref="FaultException">The call did not end cleanly, or the link passes no calls.</exception>
    IAsyncEnumerable<InvokeFrame> InvokeAsync(Replica replica, InvokeRequest request, CancellationToken cancellationToken) =>
        throw new FaultException(Fault.Unsupported, $"the replica does not serve {request.Path}; allowed: chats and completions");

    /// <summary>Lets a standby attempt continue; its frames arrive through <see cref="GenerateAsync"/>.</summary>
    /// <exception cref="FaultException">The attempt cannot continue.</exception>
    Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken);

    /// <summary>Checks that the replica answers.</summary>
    /// <exception cref="FaultException">The replica does not answer.</exception>
    Task ProbeAsync(Replica replica, CancellationToken cancellationToken);
}
