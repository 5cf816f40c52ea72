using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Skein.Gateway.Api.Http;

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
        services.TryAddSingleton<RequestMemoryBudget>();
        services.TryAddSingleton<MessageGate>();
        services.TryAddSingleton<InferenceGateway>();
        services.AddGrpc(grpc => grpc.Interceptors.Add<FailureLog>()).AddServiceOptions<InferenceGateway>(service =>
        {
            service.MaxReceiveMessageSize = options.MaxBodyBytes;
            // The service maps its own failures. What is left are messages that cannot be parsed: the client needs the reason.
            service.EnableDetailedErrors = true;
        });
        // FailureLog logs failures of methods. The library would also log every message that cannot be parsed, with a stack: clients could fill the log.
        services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.None));
        return services;
    }

    /// <summary><c>skein.v1.Inference</c>: Generate and Describe.</summary>
    public static GrpcServiceEndpointConventionBuilder MapInferenceGrpc(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapGrpcService<InferenceGateway>().BoundMessages(endpoints);

    /// <summary>Applies <see cref="ApiOptions.MaxBodyMemoryBytes"/> to the messages of these methods while they arrive.</summary>
    public static GrpcServiceEndpointConventionBuilder BoundMessages(this GrpcServiceEndpointConventionBuilder methods, IEndpointRouteBuilder endpoints)
    {
        methods.Add(endpoints.ServiceProvider.GetRequiredService<MessageGate>().Guard);
        return methods;
    }
}
