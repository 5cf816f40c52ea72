using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Engines;

namespace Skein.Serving.Grpc;

/// <summary>Adds a replica to an ASP.NET host; <see cref="ReplicaApp"/> is such a host, ready to run.</summary>
public static class ReplicaExtensions
{
    /// <summary>
    /// Adds a replica: its <see cref="EngineHost"/>, gRPC services and health. A <see cref="TimeProvider"/> that is registered before is used.
    /// </summary>
    /// <param name="services">Of the host.</param>
    /// <param name="options">Settings.</param>
    /// <param name="engine">Stays the caller's to dispose, after the host.</param>
    /// <exception cref="ArgumentException">A setting is out of its range.</exception>
    public static IServiceCollection AddReplica(this IServiceCollection services, ReplicaOptions options, IInferenceEngine engine)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(engine);
        options.Validate();

        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton(provider => new EngineHost(
            engine, options, provider.GetRequiredService<TimeProvider>(), provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance));
        services.AddSingleton<ReplicaAdminService>();
        services.AddSingleton<StreamTicker>();
        services.AddSingleton<InferenceService>();
        services.AddHostedService<EngineHostService>();
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = options.MaxRequestBytes;
            grpc.MaxSendMessageSize = null; // a start frame repeats the prompt's ids: bounded by the model's context
        });
        services.AddGrpcHealthChecks().AddCheck<ReplicaHealth>("replica");
        services.Configure<HealthCheckPublisherOptions>(publisher =>
        {
            publisher.Delay = TimeSpan.Zero;
            publisher.Period = TimeSpan.FromSeconds(1);
        });
        return services;
    }

    /// <summary>Maps the replica's gRPC services.</summary>
    public static IEndpointRouteBuilder MapReplica(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGrpcService<InferenceService>();
        endpoints.MapGrpcService<ReplicaAdminService>();
        endpoints.MapGrpcHealthChecksService();
        return endpoints;
    }

    /// <summary>Configures Kestrel's endpoint and limits from the options.</summary>
    public static void ListenForReplica(this KestrelServerOptions kestrel, ReplicaOptions options)
    {
        ArgumentNullException.ThrowIfNull(kestrel);
        ArgumentNullException.ThrowIfNull(options);
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = null; // gRPC's own limit reports its reason
        kestrel.Limits.MinResponseDataRate = null; // it would cut the connection, and with it every stream on it, for one slow reader
        kestrel.Limits.Http2.MaxStreamsPerConnection = options.MaxStreamsPerConnection;
        kestrel.Limits.Http2.KeepAlivePingDelay = options.KeepAliveInterval;
        kestrel.Limits.Http2.KeepAlivePingTimeout = options.KeepAliveTimeout;
        kestrel.Listen(options.Endpoint, listener => listener.Protocols = HttpProtocols.Http2);
    }
}
