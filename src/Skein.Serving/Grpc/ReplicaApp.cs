using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Serving.Security;

namespace Skein.Serving.Grpc;

/// <summary>A replica that is ready to run: one engine behind gRPC on one address. Reads no configuration and handles no signals.</summary>
public sealed class ReplicaApp : IAsyncDisposable
{
    private const int MaxRequestBytes = 32 << 20;

    /// <summary>Probes of a service manager have no key.</summary>
    private const string HealthPath = "/grpc.health.v1.Health";

    /// <summary>Interval of pings on an idle connection, and how long one may stay unanswered before the connection is closed.</summary>
    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(10);

    private readonly WebApplication _app;
    private readonly EngineHost _host;

    private ReplicaApp(WebApplication app, IPEndPoint endpoint)
    {
        (_app, Endpoint, _host) = (app, endpoint, app.Services.GetRequiredService<EngineHost>());
        Control = _host.Control;
    }

    /// <summary>Where it listens; with the actual port once it has started.</summary>
    public IPEndPoint Endpoint { get; private set; }

    public IReplicaControl Control { get; }

    /// <summary>Raised on any thread after the engine's description changed. Handlers must return at once.</summary>
    public event Action<EngineDescription>? DescriptionChanged
    {
        add => _host.DescriptionChanged += value;
        remove => _host.DescriptionChanged -= value;
    }

    /// <summary>Services of the host, including those that <c>configure</c> added.</summary>
    public IServiceProvider Services => _app.Services;

    /// <summary>Cancelled when the host stops, also when it does so because a background service threw.</summary>
    public CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>Builds a replica that is not yet started.</summary>
    /// <param name="engine">The caller disposes it, after the replica.</param>
    /// <param name="configure">Adds to the host: logging, hosted services such as membership, another <see cref="TimeProvider"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public static ReplicaApp Build(ReplicaOptions options, IInferenceEngine engine, Action<WebApplicationBuilder>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(engine);
        options.Validate();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "skein" });
        configure?.Invoke(builder);
        AddServices(builder.Services, options, engine);
        builder.Services.AddSingleton<IHostLifetime, OwnedHostLifetime>();
        builder.Services.AddRouting();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.StopTimeout);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => Listen(kestrel, options));
        var app = builder.Build();
        app.UseQuietEnds();
        // Created now: a meter that nobody asks for would measure nothing.
        app.Services.GetRequiredService<ReplicaMetrics>();
        if (options.LinkKeys is { } keys)
        {
            app.Use((http, next) => http.Request.Path.StartsWithSegments(HealthPath, StringComparison.OrdinalIgnoreCase)
                ? next(http)
                : LinkKeyGate.EnterAsync(http, keys(), next));
        }
        app.MapGrpcService<InferenceService>();
        app.MapGrpcService<ReplicaAdminService>();
        app.MapGrpcHealthChecksService();
        return new ReplicaApp(app, options.Endpoint);
    }

    /// <summary>Reads the engine's slots, then listens.</summary>
    /// <exception cref="BindException">The address is in use, not this machine's, or not allowed.</exception>
    /// <exception cref="FaultException">The engine cannot be asked.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default) =>
        Endpoint = (await _app.ListenAsync([Endpoint], cancellationToken))[0];

    /// <summary>
    /// Accepts no more connections, lets running streams finish within <see cref="ReplicaOptions.StopTimeout"/>, then aborts them.
    /// </summary>
    public Task StopAsync(CancellationToken cancellationToken = default) => _app.StopAsync(cancellationToken);

    /// <summary>Stops it, if it runs, and frees everything but the engine.</summary>
    public ValueTask DisposeAsync() => _app.CloseAsync();

    private static void AddServices(IServiceCollection services, ReplicaOptions options, IInferenceEngine engine)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton(provider => new EngineHost(
            engine, options, provider.GetRequiredService<TimeProvider>(), provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance));
        services.AddSingleton<ReplicaAdminService>();
        services.AddSingleton<InferenceService>();
        services.AddHostedService<EngineHostService>();
        services.AddMetrics();
        services.AddSingleton(provider => new ReplicaMetrics(provider.GetRequiredService<IMeterFactory>(), provider.GetRequiredService<EngineHost>()));
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = MaxRequestBytes;
            grpc.MaxSendMessageSize = null; // a start frame repeats the prompt's ids: bounded by the model's context
        });
        services.AddGrpcHealthChecks().AddCheck<ReplicaHealth>("replica");
        services.Configure<HealthCheckPublisherOptions>(publisher =>
        {
            publisher.Delay = TimeSpan.Zero;
            publisher.Period = TimeSpan.FromSeconds(1);
        });
    }

    private static void Listen(KestrelServerOptions kestrel, ReplicaOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = null; // gRPC's own limit reports its reason
        kestrel.Limits.MinResponseDataRate = null; // one slow reader would close the connection for all streams on it
        kestrel.Limits.Http2.MaxStreamsPerConnection = options.MaxStreamsPerConnection;
        kestrel.Limits.Http2.KeepAlivePingDelay = KeepAlive;
        kestrel.Limits.Http2.KeepAlivePingTimeout = KeepAlive;
        kestrel.Listen(options.Endpoint, listener =>
        {
            listener.Protocols = HttpProtocols.Http2;
            ServerTls.Apply(listener, options.Tls);
        });
    }
}

/// <summary>Answers <c>grpc.health.v1</c>: NOT_SERVING while the replica drains or its engine is lost.</summary>
internal sealed class ReplicaHealth(EngineHost host) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(
            host.Control.IsDraining ? HealthCheckResult.Unhealthy("draining")
            : host.IsEngineLost ? HealthCheckResult.Unhealthy("the engine does not answer")
            : HealthCheckResult.Healthy());
}
