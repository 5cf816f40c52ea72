namespace Skein.Gateway.Links;

/// <summary>Settings of the connections to replicas. Immutable.</summary>
public sealed record LinkOptions
{
    /// <summary>Longest time to make a connection. Default 1 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>A connection that received nothing for this long is pinged. Default 2 s.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>A connection that leaves a ping unanswered for this long is closed and replaced. Default 5 s.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Replaces the sockets, for tests. Null: sockets.</summary>
    internal Func<HttpMessageHandler>? CreateHandler { get; init; }
}
