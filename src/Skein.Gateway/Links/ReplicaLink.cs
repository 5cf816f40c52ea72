using Skein.Gateway.Links.Bus;
using Skein.Gateway.Links.InProcess;

namespace Skein.Gateway.Links;

/// <summary>Reaches replicas of this process directly, others over the bus. Thread-safe.</summary>
internal sealed class ReplicaLink(InProcessReplicaLink inProcess, BusReplicaLink bus) : IReplicaTransport
{
    public bool CanBreak(Replica replica) => To(replica).CanBreak(replica);

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
        To(replica).GenerateAsync(replica, request, cancellationToken);

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        To(replica).ContinueAsync(replica, request, cancellationToken);

    public Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken) =>
        To(replica).DescribeAsync(replica, cancellationToken);

    private IReplicaTransport To(Replica replica) => replica.Description.Address == InProcessReplicaLink.Address ? inProcess : bus;
}
