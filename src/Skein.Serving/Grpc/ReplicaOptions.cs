using System.Net;
using Skein.Serving.Security;

namespace Skein.Serving.Grpc;

/// <summary>Settings of a replica. Immutable; checked by <see cref="ReplicaApp.Build"/>.</summary>
public sealed record ReplicaOptions : EngineHostOptions
{
    /// <summary>Where gRPC is served. Port 0 takes a free one. Default 127.0.0.1:8090.</summary>
    public IPEndPoint Endpoint { get; init; } = new(IPAddress.Loopback, 8090);

    /// <summary>A stream whose reader reads nothing for this long is aborted. 1 second to 1 hour; default 30 s.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Most open streams per connection. 1 to 1,000,000; default 16,384. Keep it well above the slots: refusals need streams too, and at this limit
    /// Kestrel makes callers wait silently.
    /// </summary>
    public int MaxStreamsPerConnection { get; init; } = 16_384;

    /// <summary>Longest graceful stop: streams that still run after it are aborted. 0 to 1 hour; default 10 s.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Called with the next revision when an operator on this machine asks for a restart. The process drains, leaves the group and ends soon after it
    /// returns. Null (the default): such a request is refused, since nothing would start the replica again.
    /// </summary>
    public Action<string>? Restart { get; init; }

    /// <summary>
    /// Secrets of which callers must send one; called for each call, so that they can be replaced at run time. Null: everybody who reaches the port may call.
    /// <c>grpc.health.v1</c> needs none. Default null.
    /// </summary>
    public Func<LinkKeys>? LinkKeys { get; init; }

    /// <summary>Certificate of gRPC; called for each connection, so that it can be replaced at run time. Null: gRPC is not encrypted. Default null.</summary>
    public Func<TlsIdentity>? Tls { get; init; }

    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    internal override void Validate()
    {
        base.Validate();
        OptionGuard.Range(WriteTimeout, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), nameof(WriteTimeout));
        OptionGuard.Range(MaxStreamsPerConnection, 1, 1_000_000, nameof(MaxStreamsPerConnection));
        OptionGuard.Range(StopTimeout, TimeSpan.Zero, TimeSpan.FromHours(1), nameof(StopTimeout));
    }
}
