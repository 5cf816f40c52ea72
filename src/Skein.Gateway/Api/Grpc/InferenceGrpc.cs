using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Api.Grpc;

/// <summary>The gRPC API for clients.</summary>
internal static class InferenceGrpc
{
    /// <summary>Registers the service. Needs <see cref="Dialects.AddHttpApi"/>.</summary>
    public static void AddInferenceGrpc(this IServiceCollection services, ApiOptions options)
    {
        services.AddSingleton<MessageGate>();
        services.AddSingleton<InferenceGateway>();
        services.AddGrpc(grpc => grpc.Interceptors.Add<FailureLog>()).AddServiceOptions<InferenceGateway>(service =>
        {
            service.MaxReceiveMessageSize = options.MaxBodyBytes;
            // The service maps its own failures. What is left are messages that cannot be parsed: the client needs the reason.
            service.EnableDetailedErrors = true;
        });
        // FailureLog logs failures of methods. The library would also log every message that cannot be parsed, with a stack: clients could fill the log.
        services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.None));
    }

    public static void MapInferenceGrpc(this IEndpointRouteBuilder endpoints) => endpoints.MapGrpcService<InferenceGateway>().BoundMessages(endpoints);

    /// <summary>Applies <see cref="ApiOptions.MaxBodyMemoryBytes"/> to the messages of these methods while they arrive.</summary>
    public static void BoundMessages(this GrpcServiceEndpointConventionBuilder methods, IEndpointRouteBuilder endpoints) =>
        methods.Add(endpoints.ServiceProvider.GetRequiredService<MessageGate>().Guard);
}
