using Microsoft.AspNetCore.Routing;

namespace Skein.Gateway.Admin;

/// <summary>The HTTP endpoints for health checks, under the names that orchestrators, load balancers and clients of other servers use.</summary>
internal static class HealthEndpoints
{
    public static void MapHealth(this IEndpointRouteBuilder endpoints)
    {
        // Some load balancers send HEAD.
        string[] get = [HttpMethods.Get, HttpMethods.Head];
        endpoints.MapMethods("/livez", get, () => Results.Text("alive\n"));
        endpoints.MapMethods("/readyz", get, (Readiness readiness) =>
            readiness.Count() is { Missing: { } missing } counts
                ? Results.Text($"not ready: {missing} ({counts})\n", statusCode: StatusCodes.Status503ServiceUnavailable)
                : Results.Text($"ready ({readiness.Count()})\n"));
        endpoints.MapMethods("/health", get, Health);
        endpoints.MapMethods("/ping", get, Health);
        endpoints.MapMethods("/version", get, () => Results.Json(new { version = BuildInfo.Version }));
    }

    private static IResult Health(Readiness readiness)
    {
        var counts = readiness.Count();
        return Results.Json(
            new HealthRow(counts.Missing is null ? "ok" : "unavailable", counts.Live, counts.Expected, counts.Draining, counts.Missing),
            JsonSerializerOptions.Web,
            statusCode: counts.Missing is null ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
    }

    /// <summary>The answer of <c>/health</c>.</summary>
    /// <param name="Reason">What is missing; null: nothing.</param>
    private sealed record HealthRow(string Status, int Replicas, int Expected, int Draining, string? Reason);
}
