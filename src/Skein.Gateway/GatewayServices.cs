using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Skein.Gateway.Admin;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Grpc;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Group;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Gateway.Links.InProcess;
using Skein.Gateway.Keys;
using Skein.Gateway.Peers;
using Skein.Gateway.Security;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Upstreams;
using Skein.Routing;
using Skein.Routing.Balancing;

namespace Skein.Gateway;

/// <summary>Composes a gateway, from the fleet up to the APIs.</summary>
internal static class GatewayServices
{
    public static void AddGateway(this IServiceCollection services, GatewayOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddLogging();
        services.AddSingleton(options);
        services.AddSingleton<ConfigurationState>();
        services.AddGroup(options);
        services.AddRoutingCore(options);
        services.AddLoops();
        services.AddSkeinTelemetry(options.Telemetry.Checked());
        services.AddHttpApi(options.Api);
        services.AddInferenceGrpc(options.Api);
        services.AddSingleton<HealthService>();
        services.AddSingleton<ConnectionBound>();
        services.AddSingleton<ReplicaOperations>();
        services.AddSingleton(provider => new Readiness(provider.GetRequiredService<FleetTracker>(), options.ExpectedReplicas));
    }

    /// <summary>Registers the gateway's metrics, and exports them and those of the .NET runtime.</summary>
    public static void AddSkeinTelemetry(this IServiceCollection services, TelemetryOptions? options = null)
    {
        options ??= new TelemetryOptions();
        services.AddMetrics();
        services.TryAddSingleton<ConfigurationState>();
        services.AddSingleton(options);
        services.AddSingleton<RequestTally>();
        services.AddSingleton<GatewayMetrics>();
        services.AddSingleton<SessionMetrics>();
        services.AddSingleton<ProcessMetrics>();
        services.AddExport(options);
        // After OpenTelemetry's hosted service, so that the exporter has started when the metrics start.
        services.AddHostedService(static provider =>
        {
            provider.GetRequiredService<SessionMetrics>();
            provider.GetRequiredService<ProcessMetrics>();
            return provider.GetRequiredService<GatewayMetrics>();
        });
    }

    /// <summary>Registers the gRPC API for clients. Needs <see cref="Dialects.AddHttpApi"/>.</summary>
    public static void AddInferenceGrpc(this IServiceCollection services, ApiOptions options)
    {
        services.AddSingleton<MessageGate>();
        services.AddSingleton<InferenceGateway>();
        services.AddGrpcReflection();
        services.AddGrpc(grpc => grpc.Interceptors.Add<FailureLog>()).AddServiceOptions<InferenceGateway>(service =>
        {
            service.MaxReceiveMessageSize = options.MaxBodyBytes;
            // The service maps its own failures. What is left are messages that cannot be parsed: the client needs the reason.
            service.EnableDetailedErrors = true;
        });
        // FailureLog logs failures of methods. The library would also log every message that cannot be parsed, with a stack: clients could fill the log.
        services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.None));
    }

    private static void AddGroup(this IServiceCollection services, GatewayOptions options)
    {
        services.AddSingleton<GroupFleet>();
        services.AddSingleton<UpstreamFleet>();
        services.AddSingleton(provider => new AliasedFleet(
            provider.GetRequiredService<UpstreamFleet>(), options.Aliases, provider.GetRequiredService<ILogger<AliasedFleet>>()));
        services.AddSingleton<IFleetSource>(provider => provider.GetRequiredService<AliasedFleet>());
        services.AddSingleton<GroupDirectory>();
        services.AddSingleton<IMemberDirectory, UpstreamDirectory>();
        services.AddSingleton<IModelCatalog>(provider => provider.GetRequiredService<GroupDirectory>());
        services.AddSingleton<IFleetVitals, UpstreamVitals>();
        services.AddSingleton<UpstreamTurns>();
        services.AddSingleton<BeaconFeed>();
        services.AddSingleton<GroupFollower>();
        services.AddSingleton(provider => new KeyUseExchange(
            provider.GetRequiredService<ApiKeyStore>(), BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)))));
        services.AddSingleton<KeyUseLoop>();
        services.AddSingleton<GatewayPeerService>();
    }

    private static void AddRoutingCore(this IServiceCollection services, GatewayOptions options)
    {
        services.AddSingleton<IRandomSource, SystemRandomSource>();
        services.AddSingleton(options.Health);
        services.AddSingleton<FleetTracker>();
        foreach (var policy in BalancingPolicies.BuiltIn.Concat(options.Policies))
            services.AddSingleton(policy);
        services.AddSingleton<BalancingPolicies>();
        services.AddSingleton(options.Admission);
        services.AddSingleton<AdmissionQueue>();
        services.AddHostedService<QueueMetrics>();
        services.AddSingleton(options.Link);
        services.AddSingleton<ReplicaChannels>();
        services.AddSingleton<BusReplicaLink>();
        services.AddSingleton<InProcessReplicaLink>();
        services.AddSingleton<ReplicaLink>();
        services.AddSingleton<IReplicaLink>(provider => provider.GetRequiredService<ReplicaLink>());
        services.AddSingleton(provider => new DescribePoller(
            provider.GetRequiredService<FleetTracker>(), provider.GetRequiredService<ReplicaLink>().DescribeAsync,
            provider.GetRequiredService<GroupFleet>().Learn, provider.GetRequiredService<BackgroundTasks>(), provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<DescribePoller>>(), provider.GetRequiredService<GroupFleet>().Refused));
        services.AddSingleton<UpstreamService>();
        services.AddSingleton(options.Streaming);
        services.AddSingleton<RoutingStatistics>();
        services.AddSingleton(provider => new ProcessLateness(provider.GetRequiredService<TimeProvider>(), options.Streaming.OwnLateness));
        services.AddSingleton<GenerationSessions>();
        services.AddSingleton<IGenerationSessions>(provider => provider.GetRequiredService<GenerationSessions>());
        services.AddSingleton<IEngineCalls>(provider => provider.GetRequiredService<GenerationSessions>());
        services.AddSingleton<ReachabilityMonitor>();
    }

    private static void AddLoops(this IServiceCollection services)
    {
        services.AddSingleton<BackgroundTasks>();
        services.AddHostedService(static provider =>
        {
            var tasks = provider.GetRequiredService<BackgroundTasks>();
            tasks.Observe(provider.GetRequiredService<ReachabilityMonitor>().RunAsync(tasks.Stopping));
            provider.GetRequiredService<DescribePoller>();
            return tasks;
        });
    }
}
