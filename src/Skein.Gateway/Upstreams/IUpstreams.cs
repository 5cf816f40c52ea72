using Skein.Engines;

namespace Skein.Gateway.Upstreams;

/// <summary>The model servers that this gateway serves itself, without a replica process. They can be added and removed at run time. Thread-safe.</summary>
public interface IUpstreams
{
    /// <summary>Names of the upstreams, connected or not.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Adds an upstream. It serves once its server answers, and again each time the server comes back.</summary>
    /// <exception cref="ArgumentException">An option is not allowed, or another upstream has the name or the server.</exception>
    void Add(UpstreamOptions options);

    /// <summary>
    /// Removes an upstream. It gets no new work at once, and its name may be used again; running streams are handed over as in a drain, or finish. Streams
    /// that still run after <paramref name="timeout"/> are ended and continue elsewhere.
    /// </summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="timeout">Longest wait for the streams. Not negative.</param>
    /// <param name="cancellationToken">Ends the streams without waiting; the upstream is removed all the same.</param>
    /// <exception cref="ArgumentException">There is no such upstream.</exception>
    Task RemoveAsync(string name, TimeSpan timeout, CancellationToken cancellationToken = default);
}

/// <summary>One upstream. Immutable.</summary>
public sealed record UpstreamOptions
{
    /// <summary>Name in the fleet and in every report: 1 to 128 characters of printable ASCII, usually <c>host:port</c>.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// Connects to the server; called again each time the server was lost. The gateway disposes the engine. An exception means that the server
    /// cannot be served now: it is tried again.
    /// </summary>
    public required Func<CancellationToken, Task<IInferenceEngine>> ConnectAsync { get; init; }

    /// <summary>
    /// What clients are told instead of the name, which is usually an internal address: 1 to 128 characters of printable ASCII. Null (the default):
    /// <c>upstream-</c> and its number.
    /// </summary>
    public string? Label { get; init; }

    /// <summary>Address of the server, by which gateways of a group recognise that they share it. Null (the default): it is not shared.</summary>
    public Uri? Url { get; init; }

    /// <summary>Models that it is meant to serve, for errors while it does not. Empty (the default): any.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>Share of requests relative to other upstreams and replicas, 0.001 to 1000. Default 1.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Concurrent generations, 1 to 100,000. Null (the default): the engine's own number, else a number that begins at 64 and adapts.</summary>
    public int? Slots { get; init; }

    /// <summary>A server that sends no token and answers no check for this long counts as frozen. 300 ms to 1 hour; default 2 s.</summary>
    public TimeSpan EngineTimeout { get; init; } = TimeSpan.FromSeconds(2);
}
