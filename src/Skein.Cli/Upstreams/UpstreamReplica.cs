using System.Net;
using Microsoft.AspNetCore.Builder;
using Skein.Engines;
using Skein.Engines.OpenAiCompatible;
using Skein.Serving;
using Skein.Serving.Grpc;
using Skein.Routing.Fleet;

namespace Skein.Cli.Upstreams;

/// <summary>
/// A replica in this process in front of one server, reached over loopback like any other: one life of an upstream, from an answer of the server until it
/// gives none.
/// </summary>
internal sealed class UpstreamReplica : IAsyncDisposable
{
    private readonly IInferenceEngine _engine;
    private readonly ReplicaApp _app;

    private UpstreamReplica(IInferenceEngine engine, ReplicaApp app, ReplicaDescription description) => (_engine, _app, Description) = (engine, app, description);

    public ReplicaDescription Description { get; }

    /// <summary>The replica from the inside.</summary>
    public IReplicaControl Control => _app.Control;

    /// <param name="options">The server.</param>
    /// <param name="enginePatience">How long the server may be silent.</param>
    /// <param name="generation">Of this life.</param>
    /// <param name="configure">Adds logging.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="EngineException">The server cannot be served now.</exception>
    /// <exception cref="ArgumentException">The server does not tell its slots, and neither do the options.</exception>
    public static async Task<UpstreamReplica> StartAsync(
        OpenAiEngineOptions options, TimeSpan enginePatience, ulong generation, Action<WebApplicationBuilder> configure, CancellationToken cancellationToken)
    {
        var engine = await OpenAiEngine.ConnectAsync(options, TimeProvider.System, createHandler: null, cancellationToken);
        ReplicaApp? app = null;
        try
        {
            var replica = new ReplicaOptions
            {
                Endpoint = new IPEndPoint(IPAddress.Loopback, 0), Slots = options.Slots, EngineTimeout = enginePatience, Generation = generation,
            };
            app = ReplicaApp.Build(replica, engine, configure);
            await app.StartAsync(cancellationToken);
            var description = await engine.DescribeAsync(cancellationToken);
            return new UpstreamReplica(engine, app, new ReplicaDescription
            {
                Id = new ReplicaId(UpstreamSettings.NameOf(options.BaseUrl), generation),
                Address = app.Endpoint.ToString(),
                Models = [.. description.Models.Select(model => model.Name)],
                Slots = app.Control.Slots,
            });
        }
        catch
        {
            if (app is not null)
                await app.DisposeAsync();
            await engine.DisposeAsync();
            throw;
        }
    }

    /// <summary>Asks whether the server could serve now.</summary>
    /// <exception cref="EngineException">It cannot.</exception>
    public ValueTask CheckAsync(CancellationToken cancellationToken) => _engine.CheckAsync(cancellationToken);

    /// <summary>Lets what still runs finish for a while, then ends it.</summary>
    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
        await _engine.DisposeAsync();
    }
}
