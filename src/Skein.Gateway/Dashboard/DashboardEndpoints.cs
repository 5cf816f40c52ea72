using Microsoft.AspNetCore.Routing;

namespace Skein.Gateway.Dashboard;

/// <summary>
/// Serves the dashboard: a page at <c>/</c> and its parts under <c>/dashboard</c>, from this assembly. The page has no data. It reads the admin API with the
/// key that its user enters.
/// </summary>
internal static class DashboardEndpoints
{
    /// <summary>Nothing from other origins, no inline script, no frames: names and prompts that reach the page cannot run as code.</summary>
    private const string ContentPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        + "frame-ancestors 'none'";

    private static readonly (string Path, string Resource, string Type)[] Parts =
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/dashboard/dashboard.css", "dashboard.css", "text/css; charset=utf-8"),
        ("/dashboard/dashboard.js", "dashboard.js", "text/javascript; charset=utf-8"),
        ("/dashboard/playground.js", "playground.js", "text/javascript; charset=utf-8"),
        ("/dashboard/rollout.js", "rollout.js", "text/javascript; charset=utf-8"),
    ];

    public static void MapDashboard(this IEndpointRouteBuilder endpoints)
    {
        foreach (var (path, resource, type) in Parts)
        {
            var content = Read(resource);
            endpoints.MapGet(path, (HttpContext http) =>
            {
                http.Response.Headers.ContentSecurityPolicy = ContentPolicy;
                http.Response.Headers.XContentTypeOptions = "nosniff";
                http.Response.Headers["referrer-policy"] = "no-referrer";
                // A gateway of another version may answer next.
                http.Response.Headers.CacheControl = "no-cache";
                return Results.Bytes(content, type);
            });
        }
    }

    private static byte[] Read(string resource)
    {
        using var stream = typeof(DashboardEndpoints).Assembly.GetManifestResourceStream($"dashboard/{resource}")
            ?? throw new InvalidOperationException($"the resource dashboard/{resource} is missing in this assembly");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }
}
