using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Grpc;

namespace Skein.Gateway.Admin;

/// <summary>The HTTP endpoints for health checks and operators, and the gRPC admin service.</summary>
internal static class AdminEndpoints
{
    public static void MapAdmin(this IEndpointRouteBuilder endpoints)
    {
        // Some load balancers send HEAD.
        string[] get = [HttpMethods.Get, HttpMethods.Head];
        endpoints.MapMethods("/livez", get, () => Results.Text("alive\n"));
        endpoints.MapMethods("/readyz", get, (Readiness readiness) =>
            readiness.Missing is { } missing
                ? Results.Text($"not ready: {missing}\n", statusCode: StatusCodes.Status503ServiceUnavailable)
                : Results.Text("ready\n"));
        endpoints.MapGet("/admin/v1/members", (IMemberDirectory directory) => directory.Members.Select(MemberRow.From));
        endpoints.MapReplicas();
        endpoints.MapGrpcService<AdminService>().BoundMessages(endpoints);
    }
}
