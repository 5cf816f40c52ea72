using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>Reaches each replica by its transport. Thread-safe.</summary>
/// <param name="transports">The first one that reaches a replica is used.</param>
internal sealed class ReplicaLink(params IReplicaTransport[] transports) : IReplicaTransport
{
    public bool Reaches(Replica replica) => transports.Any(transport => transport.Reaches(replica));

    public bool HasHeartbeats(Replica replica) => To(replica).HasHeartbeats(replica);

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
        To(replica).GenerateAsync(replica, request, cancellationToken);

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        To(replica).ContinueAsync(replica, request, cancellationToken);

    public Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => To(replica).ProbeAsync(replica, cancellationToken);

    public Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken) =>
        To(replica).DescribeAsync(replica, cancellationToken);

    private IReplicaTransport To(Replica replica)
    {
        foreach (var transport in transports)
        {
            if (transport.Reaches(replica))
                return transport;
        }
        throw new FaultException(Fault.Unreachable, $"no transport reaches {replica.Id}");
    }
}
