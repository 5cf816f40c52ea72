using System.Net;

namespace Skein.Serving.Grpc;

/// <summary>Settings of a replica. Immutable; checked by <see cref="ReplicaExtensions.AddReplica"/>.</summary>
public sealed record ReplicaOptions : EngineHostOptions
{
    /// <summary>Where gRPC is served, without TLS (h2c). Port 0 takes a free one. Default 127.0.0.1:8090.</summary>
    public IPEndPoint Endpoint { get; init; } = new(IPAddress.Loopback, 8090);

    /// <summary>Interval of heartbeats on a stream that carries nothing else. 10 ms to 1 minute; default 250 ms.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>A stream whose reader reads nothing for this long is aborted. 1 second to 1 hour; default 30 s.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Largest request, in bytes. 1 KiB to 1 GiB; default 32 MiB.</summary>
    public int MaxRequestBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>
    /// Most open streams per connection. 1 to 1,000,000; default 16,384. Keep it well above the slots: refusals need streams too, and at this limit
    /// Kestrel makes callers wait silently.
    /// </summary>
    public int MaxStreamsPerConnection { get; init; } = 16_384;

    /// <summary>Interval of pings on an idle connection. 1 second to 1 hour; default 10 s.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection that leaves a ping unanswered for this long is closed. 1 second to 1 hour; default 10 s.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest graceful stop: streams that still run after it are aborted. 0 to 1 hour; default 10 s.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Called with the next revision when an operator on this machine asks for a restart. The process drains, leaves the group and ends soon after it
    /// returns. Null (the default): such a request is refused, since nothing would start the replica again.
    /// </summary>
    public Action<string>? Restart { get; init; }

    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    internal override void Validate()
    {
        base.Validate();
        var second = TimeSpan.FromSeconds(1);
        var hour = TimeSpan.FromHours(1);
        Check(HeartbeatInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(HeartbeatInterval));
        Check(WriteTimeout, second, hour, nameof(WriteTimeout));
        Check(MaxRequestBytes, 1024, 1 << 30, nameof(MaxRequestBytes));
        Check(MaxStreamsPerConnection, 1, 1_000_000, nameof(MaxStreamsPerConnection));
        Check(KeepAliveInterval, second, hour, nameof(KeepAliveInterval));
        Check(KeepAliveTimeout, second, hour, nameof(KeepAliveTimeout));
        Check(StopTimeout, TimeSpan.Zero, hour, nameof(StopTimeout));
    }
}
