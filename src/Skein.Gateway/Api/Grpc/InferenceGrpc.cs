using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Skein.Gateway.Api.Http;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Grpc;

/// <summary>The gRPC API for clients.</summary>
public static class InferenceGrpc
{
    /// <summary>
    /// Registers the service. Needs <see cref="IGenerationSessions"/>, <see cref="IModelCatalog"/> and the gateway's telemetry in the services.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static IServiceCollection AddInferenceGrpc(this IServiceCollection services, ApiOptions options)
    {
        services.TryAddSingleton(options.Checked());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<MessageGate>();
        services.TryAddSingleton<InferenceGateway>();
        services.AddGrpc(grpc => grpc.Interceptors.Add<FailureLog>()).AddServiceOptions<InferenceGateway>(service =>
        {
            service.MaxReceiveMessageSize = options.MaxBodyBytes;
            // The service tells its own failures apart; what is left are messages that cannot be read, and their sender must learn why.
            service.EnableDetailedErrors = true;
        });
        // Failures of methods are logged by FailureLog; the library would log messages that cannot be read too, a stack each, and any client could fill the log.
        services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.None));
        return services;
    }

    /// <summary><c>skein.v1.Inference</c>: Generate and Describe.</summary>
    public static GrpcServiceEndpointConventionBuilder MapInferenceGrpc(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGrpcService<InferenceGateway>().BoundMessages(endpoints);

    /// <summary>Counts what of messages has arrived within <see cref="ApiOptions.MaxBodyMemoryBytes"/>, and refuses past it.</summary>
    public static GrpcServiceEndpointConventionBuilder BoundMessages(this GrpcServiceEndpointConventionBuilder methods, IEndpointRouteBuilder endpoints)
    {
        methods.Add(endpoints.ServiceProvider.GetRequiredService<MessageGate>().Guard);
        return methods;
    }
}
