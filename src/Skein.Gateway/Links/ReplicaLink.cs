using System.Security.Cryptography.X509Certificates;
using Skein.Gateway.Links.Bus;
using Skein.Gateway.Links.InProcess;
using Skein.Serving.Security;

namespace Skein.Gateway.Links;

/// <summary>Reaches replicas of this process directly, others over the bus. Thread-safe.</summary>
internal sealed class ReplicaLink(InProcessReplicaLink inProcess, BusReplicaLink bus) : IReplicaTransport
{
    public bool CanBreak(Replica replica) => To(replica).CanBreak(replica);

    public IAsyncEnumerable<GenerateFrame> GenerateAsync(Replica replica, GenerateRequest request, CancellationToken cancellationToken) =>
        To(replica).GenerateAsync(replica, request, cancellationToken);

    public IAsyncEnumerable<InvokeFrame> InvokeAsync(Replica replica, InvokeRequest request, CancellationToken cancellationToken) =>
        To(replica).InvokeAsync(replica, request, cancellationToken);

    public Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken) =>
        To(replica).ContinueAsync(replica, request, cancellationToken);

    public Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken) =>
        To(replica).DescribeAsync(replica, cancellationToken);

    private IReplicaTransport To(Replica replica) => replica.Description.Address == InProcessReplicaLink.Address ? inProcess : bus;
}

/// <summary>One way to reach replicas. Thread-safe.</summary>
internal interface IReplicaTransport : IReplicaLink
{
    /// <summary>Asks a replica what it serves.</summary>
    /// <exception cref="FaultException">It did not answer, or with an error.</exception>
    Task<DescribeResponse> DescribeAsync(Replica replica, CancellationToken cancellationToken);

    Task IReplicaLink.ProbeAsync(Replica replica, CancellationToken cancellationToken) => DescribeAsync(replica, cancellationToken);
}

/// <summary>Settings of the connections to replicas and other gateways. Immutable.</summary>
public sealed record LinkOptions
{
    /// <summary>Longest time to make a connection. Default 1 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A connection that received nothing for this long is pinged. Default 2 s.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>A connection that leaves a ping unanswered for this long is closed and replaced. Default 5 s.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Secrets of the group: the first is sent to replicas and other gateways. Called for each call, so that they can be replaced at run time. Null: none is
    /// sent, and other gateways may not ask this one. Default null.
    /// </summary>
    public Func<LinkKeys>? Keys { get; init; }

    /// <summary>
    /// Authorities of the certificates of replicas and other gateways whose gRPC is encrypted. Each of their certificates is accepted, whatever its name: these
    /// authorities should issue certificates for members only. Null: the authorities of the system, and names are checked. Default null.
    /// </summary>
    public X509Certificate2Collection? Authorities { get; init; }

    /// <summary>Certificate that is shown to members that ask for one (mTLS); called for each connection. Null: none. Default null.</summary>
    public Func<TlsIdentity>? Identity { get; init; }

    /// <summary>Replaces the sockets, for tests. Null: sockets.</summary>
    internal Func<HttpMessageHandler>? CreateHandler { get; init; }
}
