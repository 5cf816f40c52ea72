using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Skein.Gateway.Api.Grpc;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Admin;

/// <summary>What operators and machines ask a gateway.</summary>
internal static class AdminEndpoints
{
    public static void MapAdmin(this IEndpointRouteBuilder endpoints)
    {
        // Load balancers ask with HEAD.
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

/// <summary>Whether this gateway can serve.</summary>
/// <param name="fleet">The fleet.</param>
/// <param name="expectedReplicas">Replicas that must be there.</param>
internal sealed class Readiness(FleetTracker fleet, int expectedReplicas)
{
    /// <summary>What is missing; null when nothing is.</summary>
    public string? Missing
    {
        get
        {
            // A drained replica is there and comes back: a rolling update must not take the gateway itself out of service.
            List<Replica> live = [.. fleet.Current.Replicas.Where(replica => replica.Reachable && !replica.Description.Suspect)];
            if (live.Count < expectedReplicas)
                return $"{live.Count} of {expectedReplicas} replicas are ready";
            return live.Count == 0 || live.Exists(replica => !replica.Draining) ? null : "all replicas are draining";
        }
    }
}
