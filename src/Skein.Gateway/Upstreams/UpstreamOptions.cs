using Skein.Engines;

namespace Skein.Gateway.Upstreams;

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

    /// <summary>Concurrent generations, 1 to 100,000. Null (the default): the engine's own number, else 64.</summary>
    public int? Slots { get; init; }

    /// <summary>A server that sends no token and answers no check for this long counts as frozen. 300 ms to 1 hour; default 2 s.</summary>
    public TimeSpan EngineTimeout { get; init; } = TimeSpan.FromSeconds(2);
}
