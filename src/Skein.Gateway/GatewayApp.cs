using System.Net;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Skein.Gateway.Admin;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Grpc;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Dashboard;
using Skein.Gateway.Group;
using Skein.Gateway.Security;
using Skein.Gateway.Keys;
using Skein.Gateway.Peers;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Upstreams;
using Skein.Serving.Security;

namespace Skein.Gateway;

/// <summary>A gateway that is ready to run. Reads no configuration and handles no signals. Not thread-safe.</summary>
public sealed class GatewayApp : IAsyncDisposable
{
    /// <summary>Time for the terminal events of streams that did not finish.</summary>
    private static readonly TimeSpan TerminalEventTimeout = TimeSpan.FromSeconds(2);

    /// <summary>
    /// Kestrel closes a connection whose reset streams still run at twice this number: the defence against rapid resets (CVE-2023-44487). gRPC clients open
    /// another connection when they need more.
    /// </summary>
    private const int MaxStreamsPerConnection = 500;

    private readonly WebApplication _app;
    private readonly GatewayOptions _options;

    private GatewayApp(WebApplication app, GatewayOptions options)
    {
        _app = app;
        _options = options;
        (Http, Grpc) = (options.Http, options.Grpc);
    }

    /// <summary>Where it serves HTTP; with the actual port once it has started.</summary>
    public IPEndPoint Http { get; private set; }

    /// <summary>Where it serves gRPC; with the actual port once it has started.</summary>
    public IPEndPoint Grpc { get; private set; }

    /// <summary>Model servers that it serves itself.</summary>
    public IUpstreams Upstreams => Services.GetRequiredService<UpstreamService>();

    /// <summary>API keys of its clients. Until some are set, every request is served without one.</summary>
    public IApiKeys Keys => Services.GetRequiredService<ApiKeyStore>();

    public IServiceProvider Services => _app.Services;

    /// <summary>Cancelled when the host stops, also when it does so because a background service threw.</summary>
    public CancellationToken Stopping => _app.Lifetime.ApplicationStopping;

    /// <summary>Whether the newest configuration is in use, as <c>status</c> and the metrics report it. Whoever reads the configuration sets it.</summary>
    public ConfigurationState Configuration => Services.GetRequiredService<ConfigurationState>();

    /// <summary>Builds a gateway that is not yet started.</summary>
    /// <param name="configure">Adds to the host: logging, another <see cref="TimeProvider"/>.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public static GatewayApp Build(GatewayOptions options, Action<WebApplicationBuilder>? configure = null)
    {
        // A lone line feed ends a header line for some and not for others: another way to smuggle requests. For all servers of this process.
        AppContext.SetSwitch("Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators", true);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "skein" });
        configure?.Invoke(builder);
        builder.Services.AddRouting();
        builder.Services.AddGateway(options);
        builder.Services.AddSingleton<IHostLifetime, OwnedHostLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.StopTimeout + TerminalEventTimeout);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => Listen(kestrel, options));
        var app = builder.Build();
        // Created now: a wrong option must fail the start, not the first request.
        app.Services.GetRequiredService<GenerationSessions>().Caller = $"gateway-{Guid.NewGuid():N}"; // replaced by its name when it joins a group
        app.Services.GetRequiredService<ReachabilityMonitor>();
        app.UseQuietEnds();
        app.Use(RefusalBodies.EnterAsync);
        app.UseHttpApi();
        // After CORS, so that web pages can read its refusals.
        app.Use(new RequestGuardMiddleware(options).EnterAsync);
        var keys = new KeyMiddleware(app.Services.GetRequiredService<ApiKeyStore>(), app.Services.GetRequiredService<GatewayMetrics>(), options.Link.Keys);
        app.Use(keys.EnterAsync);
        app.MapDialects();
        app.MapOpenApi();
        var messages = app.Services.GetRequiredService<MessageGate>();
        app.MapGrpcService<InferenceGateway>().Add(messages.Guard);
        app.MapGrpcService<AdminService>().Add(messages.Guard);
        app.MapGrpcService<GatewayPeerService>().Add(messages.Guard);
        app.MapGrpcService<HealthService>().Add(messages.Guard);
        app.MapGrpcReflectionService();
        app.MapPrometheusScrapingEndpoint("/metrics").WithMetadata(new HttpMethodMetadata([HttpMethods.Get, HttpMethods.Head]));
        app.MapHealth();
        app.MapAdmin();
        app.MapDashboard();
        return new GatewayApp(app, options);
    }

    /// <summary>Listens. Until <see cref="Join"/> no replica is known.</summary>
    /// <exception cref="BindException">An address is in use, or not this machine's.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        var bound = await _app.ListenAsync([Http, Grpc], cancellationToken);
        (Http, Grpc) = (bound[0], bound[1]);
    }

    /// <summary>Serves through the replicas of this group from now on. Called once.</summary>
    /// <param name="membership">The caller leaves the group and disposes it, after this gateway.</param>
    public void Join(IMembership membership)
    {
        _app.Services.GetRequiredService<GenerationSessions>().Caller = membership.Current.Self.Name;
        _app.Services.GetRequiredService<GroupFollower>().Follow(membership);
        _app.Services.GetRequiredService<UpstreamTurns>().Follow(membership);
        _app.Services.GetRequiredService<KeyUseLoop>().Follow(membership);
    }

    /// <summary>
    /// Uses other aliases, limits and balancing policies from now on: <see cref="GatewayOptions.Aliases"/>, <see cref="GatewayOptions.Admission"/> without
    /// <see cref="AdmissionOptions.TenantFairness"/>, <see cref="GatewayOptions.Streaming"/>, <see cref="GatewayOptions.Health"/> and
    /// <see cref="ApiOptions.MaxBodyMemoryBytes"/>. Requests that wait or run are not affected. All other options stay as they were when the gateway was
    /// built. Called by one thread.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its range. Nothing has changed.</exception>
    public void Use(GatewayOptions options)
    {
        ModelAlias.Check(options.Aliases);
        options.Streaming.Validate();
        options.Health.Validate();
        options.Api.Checked();
        Services.GetRequiredService<AdmissionQueue>().Use(options.Admission);
        Services.GetRequiredService<FleetTracker>().Use(options.Health);
        Services.GetRequiredService<GenerationSessions>().Use(options.Streaming);
        Services.GetRequiredService<AliasedFleet>().Use(options.Aliases);
        Services.GetRequiredService<RequestMemoryBudget>().MaxBytes = options.Api.MaxBodyMemoryBytes;
    }

    /// <summary>Reports in <c>/readyz</c> that it stops, and goes on serving for <see cref="GatewayOptions.LameDuck"/>.</summary>
    /// <param name="atOnce">Ends the wait.</param>
    public async Task PrepareStopAsync(CancellationToken atOnce = default)
    {
        _app.Services.GetRequiredService<Readiness>().IsStopping = true;
        await Task.Delay(_options.LameDuck, _app.Services.GetRequiredService<TimeProvider>(), atOnce).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>
    /// Takes no more connections, lets streams finish for at most <see cref="GatewayOptions.StopTimeout"/>, then ends those that are left with
    /// an error: each client gets its terminal event.
    /// </summary>
    /// <param name="atOnce">Ends them without waiting.</param>
    public async Task StopAsync(CancellationToken atOnce = default)
    {
        var stopping = _app.StopAsync(CancellationToken.None);
        try
        {
            await stopping.WaitAsync(_options.StopTimeout, _app.Services.GetRequiredService<TimeProvider>(), atOnce);
        }
        catch (Exception left) when (left is TimeoutException or OperationCanceledException)
        {
            _app.Services.GetRequiredService<GenerationSessions>().EndAll("the gateway stops; ask another one, or again");
            await stopping;
        }
    }

    public ValueTask DisposeAsync() => _app.CloseAsync();

    private static void Listen(KestrelServerOptions kestrel, GatewayOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestLineSize = RequestGuardMiddleware.MaxTargetBytes + RequestGuardMiddleware.ServerSlackBytes;
        kestrel.Limits.MaxRequestHeadersTotalSize = options.MaxRequestHeadersBytes + RequestGuardMiddleware.ServerSlackBytes;
        kestrel.Limits.MaxRequestBodySize = options.Api.MaxBodyBytes;
        kestrel.Limits.MinRequestBodyDataRate = RequestBody.SlowestRate;
        // Sessions bound slow readers themselves; a minimum rate would cut healthy slow generations.
        kestrel.Limits.MinResponseDataRate = null;
        kestrel.Limits.Http2.MaxStreamsPerConnection = MaxStreamsPerConnection;
        var bound = kestrel.ApplicationServices.GetRequiredService<ConnectionBound>();
        kestrel.Listen(options.Http, listener => Serve(listener, HttpProtocols.Http1, options, bound));
        kestrel.Listen(options.Grpc, listener => Serve(listener, HttpProtocols.Http2, options, bound));
        // "localhost" may mean either address family. The endpoints above come first: their ports are read in this order.
        if (OtherLoopback.Of(options.Http) is { } http)
            kestrel.Listen(http, listener => Serve(listener, HttpProtocols.Http1, options, bound));
        if (OtherLoopback.Of(options.Grpc) is { } grpc)
            kestrel.Listen(grpc, listener => Serve(listener, HttpProtocols.Http2, options, bound));
    }

    private static void Serve(ListenOptions listener, HttpProtocols protocols, GatewayOptions options, ConnectionBound bound)
    {
        listener.Use(bound.Before);
        listener.Protocols = protocols;
        ServerTls.Apply(listener, options.Tls);
        if (protocols == HttpProtocols.Http1)
            listener.Use(RefusalBodies.Before);
    }
}
