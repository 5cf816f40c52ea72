using System.Net;

namespace Skein.Serving;

/// <summary>Settings of a replica. Immutable; checked by <see cref="ReplicaExtensions.AddReplica"/>.</summary>
public sealed record ReplicaOptions
{
    /// <summary>Where gRPC is served, without TLS (h2c). Port 0 takes a free one. Default 127.0.0.1:8090.</summary>
    public IPEndPoint Endpoint { get; init; } = new(IPAddress.Loopback, 8090);

    /// <summary>Generations that may run at the same time, 1 to 100,000. Null (the default): the engine's own number, else 64.</summary>
    public int? Slots { get; init; }

    /// <summary>Life of the replica's name until <see cref="IReplicaControl.SetGeneration"/> says otherwise. Null: the start in Unix milliseconds.</summary>
    public ulong? Generation { get; init; }

    /// <summary>A stream that carries nothing else carries an empty frame as often. 10 ms to 1 minute; default 250 ms.</summary>
    public TimeSpan HeartbeatInterval { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>A stream whose reader takes nothing for as long is aborted. 1 second to 1 hour; default 30 s.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>An attempt that is held for a hand-over and not continued for as long is dropped. 1 second to 1 hour; default 30 s.</summary>
    public TimeSpan StandbyTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// An engine that says nothing on any stream and leaves questions for a sign of life unanswered for as long counts as frozen. 300 ms to 1 hour; default
    /// 2 s. The first question comes one or two thirds of it after the last token.
    /// </summary>
    public TimeSpan EnginePatience { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Largest request, in bytes. 1 KiB to 1 GiB; default 32 MiB.</summary>
    public int MaxRequestBytes { get; init; } = 32 * 1024 * 1024;

    /// <summary>
    /// Streams one connection may have open. 1 to 1,000,000; default 16,384. To be well above the slots: refusals need streams too, and
    /// Kestrel makes callers wait at this limit without a word.
    /// </summary>
    public int MaxStreamsPerConnection { get; init; } = 16_384;

    /// <summary>A connection without traffic is pinged as often. 1 second to 1 hour; default 10 s.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>A connection that leaves a ping unanswered for as long is closed. 1 second to 1 hour; default 10 s.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest graceful stop: streams that still run after it are aborted. 0 to 1 hour; default 10 s.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Called with the revision of the next life when an operator of this machine asks for a restart; drains, leaves and ends the process soon
    /// after it returned. Null (the default): such a request is refused, for nothing would start the replica again.
    /// </summary>
    public Action<string>? Restart { get; init; }

    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    internal void Validate()
    {
        var second = TimeSpan.FromSeconds(1);
        var hour = TimeSpan.FromHours(1);
        Check(Slots ?? 1, 1, 100_000, nameof(Slots));
        Check(HeartbeatInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(HeartbeatInterval));
        Check(WriteTimeout, second, hour, nameof(WriteTimeout));
        Check(StandbyTimeout, second, hour, nameof(StandbyTimeout));
        Check(EnginePatience, TimeSpan.FromMilliseconds(300), hour, nameof(EnginePatience));
        Check(MaxRequestBytes, 1024, 1 << 30, nameof(MaxRequestBytes));
        Check(MaxStreamsPerConnection, 1, 1_000_000, nameof(MaxStreamsPerConnection));
        Check(KeepAliveInterval, second, hour, nameof(KeepAliveInterval));
        Check(KeepAliveTimeout, second, hour, nameof(KeepAliveTimeout));
        Check(StopTimeout, TimeSpan.Zero, hour, nameof(StopTimeout));
    }

    private static void Check<T>(T value, T least, T most, string name)
        where T : IComparable<T>
    {
        if (value.CompareTo(least) < 0 || value.CompareTo(most) > 0)
        {
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; allowed: {least} to {most}"), name);
        }
    }
}
