namespace Skein.Gateway.Links;

/// <summary>One way to reach replicas. Thread-safe.</summary>
internal interface IReplicaTransport : IReplicaLink
{
    /// <summary>Asks a replica what it serves.</summary>
    /// <exception cref="FaultException">It did not answer, or with an error.</exception>
    Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken);

    Task IReplicaLink.ProbeAsync(Replica replica, CancellationToken cancellationToken) => DescribeAsync(replica, cancellationToken);
}
