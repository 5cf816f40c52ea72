using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Skein.Engines;

namespace Skein.Serving.Grpc;

/// <summary>A replica that is ready to run: one engine behind gRPC on one address. Reads no configuration and handles no signals.</summary>
public sealed class ReplicaApp : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ReplicaOptions _options;

    private ReplicaApp(WebApplication app, ReplicaOptions options)
    {
        _app = app;
        _options = options;
        Endpoint = options.Endpoint;
        Control = app.Services.GetRequiredService<EngineHost>().Control;
    }

    /// <summary>Where it listens; with the actual port once it has started.</summary>
    public IPEndPoint Endpoint { get; private set; }

    /// <summary>Load, drain and slots.</summary>
    public IReplicaControl Control { get; }

    /// <summary>Services of the host, those that <c>configure</c> added included.</summary>
    public IServiceProvider Services => _app.Services;

    /// <summary>Cancelled when the host stops, also when it does so because a background service threw.</summary>
    public CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>Builds a replica that is not yet started.</summary>
    /// <param name="options">Settings.</param>
    /// <param name="engine">Stays the caller's to dispose, after the replica.</param>
    /// <param name="configure">Adds to the host: logging, hosted services such as membership, another <see cref="TimeProvider"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public static ReplicaApp Build(ReplicaOptions options, IInferenceEngine engine, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "skein" });
        configure?.Invoke(builder);
        builder.Services.AddReplica(options, engine);
        builder.Services.AddSingleton<IHostLifetime, OwnedHostLifetime>();
        builder.Services.AddRouting();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.StopTimeout);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenForReplica(options));
        var app = builder.Build();
        app.MapReplica();
        return new ReplicaApp(app, options);
    }

    /// <summary>Reads the engine's slots, then listens.</summary>
    /// <exception cref="ReplicaBindException">The address is in use, not this machine's, or not allowed.</exception>
    /// <exception cref="FaultException">The engine cannot be asked.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        try
        {
            await _app.StartAsync(cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or System.Net.Sockets.SocketException)
        {
            throw new ReplicaBindException(_options.Endpoint, exception);
        }

        var addresses = _app.Services.GetRequiredService<IServer>().Features.GetRequiredFeature<IServerAddressesFeature>().Addresses;
        Endpoint = new IPEndPoint(_options.Endpoint.Address, new Uri(addresses.First()).Port);
    }

    /// <summary>
    /// Accepts no more connections, lets running streams finish within <see cref="ReplicaOptions.StopTimeout"/>, then aborts them.
    /// </summary>
    public Task StopAsync(CancellationToken cancellationToken = default) => _app.StopAsync(cancellationToken);

    /// <summary>Cuts every connection at once, as the death of the process would.</summary>
    public async Task AbortAsync()
    {
        try
        {
            await _app.StopAsync(new CancellationToken(canceled: true));
        }
        catch (OperationCanceledException)
        {
            // A stop without grace ends this way: the connections are cut.
        }
    }

    /// <summary>Stops it, if it runs, and frees everything but the engine.</summary>
    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
