using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;
using Skein.Gateway.Peers;
using Skein.Gateway.Telemetry;
using Skein.Serving.Security;

namespace Skein.Gateway.Security;

/// <summary>
/// Authenticates HTTP and gRPC requests when keys are required. Open without a key: /livez, /readyz, /health and /ping, gRPC health checks, the dashboard's
/// page, which has no data of its own. CORS preflights, which cannot carry a key, get an answer without content. /admin needs a key with
/// <see cref="ApiKey.Admin"/>; /metrics needs one, or a key with <see cref="ApiKey.Metrics"/>. A client cannot tell a missing key from a wrong
/// one. Other gateways show the group's link key, whether clients need keys or not.
/// </summary>
/// <param name="metrics">Counts and logs refusals; null: nobody does.</param>
/// <param name="linkKeys">Keys of the group; null: other gateways are refused.</param>
internal sealed class KeyMiddleware(ApiKeyStore keys, GatewayMetrics? metrics = null, Func<LinkKeys>? linkKeys = null)
{
    private const string Bearer = "Bearer ";

    private static readonly string[] Open = ["/livez", "/readyz", "/health", "/ping", "/grpc.health.v1.Health", "/", "/dashboard"];
    private static readonly string[] ForAdmins = ["/admin", "/skein.v1.Admin"];
    private static readonly string[] ForMetrics = ["/metrics"];

    private enum Area
    {
        Apis,
        Metrics,
        Administration,
    }

    public Task EnterAsync(HttpContext http, RequestDelegate next)
    {
        if (http.Request.Path.StartsWithSegments(GatewayPeerService.Path, StringComparison.OrdinalIgnoreCase))
            return LinkKeyGate.EnterAsync(http, linkKeys?.Invoke(), next);
        if (!keys.IsRequired || Any(Open, http))
            return next(http);
        var area = Any(ForAdmins, http) ? Area.Administration : Any(ForMetrics, http) ? Area.Metrics : Area.Apis;
        if (area == Area.Apis && keys.IsOpenToClients)
            return next(http);
        if (IsPreflight(http.Request))
        {
            // Answered before this if CORS is configured. No endpoint sees it: one might answer it like a GET.
            http.Response.StatusCode = StatusCodes.Status204NoContent;
            return Task.CompletedTask;
        }
        return keys.Find(SecretOf(http.Request.Headers)) is not { } key ? UnauthorizedAsync(http)
            : !Opens(key, area) ? ForbiddenAsync(http, key, area)
            : ServeAsync(http, new KeyGrant(key, keys.MeterOf(key)), area == Area.Apis ? keys.Places : null, next);
    }

    private static bool Opens(ApiKey key, Area area) => area switch
    {
        Area.Administration => key.Admin,
        Area.Metrics => key.Admin || key.Metrics != MetricsAccess.No,
        _ => key.Metrics != MetricsAccess.Only,
    };

    /// <summary>Whether a browser asks what a page of another origin may send, as the Fetch standard defines it. Any other OPTIONS needs a key.</summary>
    private static bool IsPreflight(HttpRequest request) =>
        HttpMethods.IsOptions(request.Method) && request.Headers.Origin.Count > 0 && request.Headers.AccessControlRequestMethod.Count > 0;

    private static async Task ServeAsync(HttpContext http, KeyGrant grant, IKeyPlaces? places, RequestDelegate next)
    {
        using (grant)
        {
            http.Features.Set(grant);
            http.Response.OnStarting(
                static state =>
                {
                    var (headers, grant) = ((IHeaderDictionary, KeyGrant))state;
                    grant.WriteHeaders(headers);
                    return Task.CompletedTask;
                },
                (http.Response.Headers, grant));
            // Only these start an answer. Before the body is read: its memory is not held meanwhile.
            if (places is not null && HttpMethods.IsPost(http.Request.Method) && grant.NeedsPlace)
                await places.FindAsync(grant, http.RequestAborted);
            await next(http);
        }
    }

    /// <summary>From <c>authorization: Bearer</c> in any case, else from Anthropic's <c>x-api-key</c>.</summary>
    private static string? SecretOf(IHeaderDictionary headers)
    {
        string? authorization = headers.Authorization;
        return authorization is not null && authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            ? authorization[Bearer.Length..].Trim()
            : headers["x-api-key"];
    }

    private static bool Any(string[] paths, HttpContext http)
    {
        foreach (var path in paths)
        {
            // Every path that begins with two slashes is a segment below "/".
            if (path == "/" ? http.Request.Path == path : http.Request.Path.StartsWithSegments(path, StringComparison.OrdinalIgnoreCase))
                return true;
        }
        return false;
    }

    private Task UnauthorizedAsync(HttpContext http)
    {
        Count(http, key: null, KeyRefusals.MissingOrWrong);
        http.Response.Headers.WWWAuthenticate = "Bearer";
        return RefuseAsync(http, new ApiError(
            StatusCodes.Status401Unauthorized, "authentication_error", "invalid_api_key",
            "the API key is missing or wrong; allowed: 'authorization: Bearer KEY' or 'x-api-key: KEY' with a key of this gateway"));
    }

    private Task ForbiddenAsync(HttpContext http, ApiKey key, Area area)
    {
        Count(http, key.Name, area == Area.Apis ? KeyRefusals.MetricsOnly : KeyRefusals.NotAdmin);
        var path = http.Request.Path;
        var (code, message) = area switch
        {
            Area.Administration => ("admin_key_required", $"{path} needs a key with admin rights"),
            Area.Metrics => ("admin_key_required", $"{path} needs a key with admin rights, or one that may read metrics"),
            _ => ("metrics_key", $"this API key may read /metrics only; {path} needs another one"),
        };
        return RefuseAsync(http, new ApiError(StatusCodes.Status403Forbidden, "permission_error", code, message));
    }

    private void Count(HttpContext http, string? key, string reason) =>
        metrics?.KeyRefused(Identify(http), key, reason, http.Request.Path.Value ?? "", http.Connection.RemoteIpAddress);

    /// <summary>Gives a request that is refused before its endpoint an id, in its answer too.</summary>
    internal static string Identify(HttpContext http)
    {
        http.TraceIdentifier = VisibleText.RequestId(http.Request.Headers[SkeinHeaders.RequestId]);
        http.Response.Headers[SkeinHeaders.RequestId] = http.TraceIdentifier;
        return http.TraceIdentifier;
    }

    private static Task RefuseAsync(HttpContext http, ApiError error)
    {
        if (HttpProtocol.IsHttp2(http.Request.Protocol) && http.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true)
        {
            // gRPC over HTTP/2: a response of headers only ("trailers-only").
            var status = error.Status == StatusCodes.Status401Unauthorized ? Grpc.Core.StatusCode.Unauthenticated : Grpc.Core.StatusCode.PermissionDenied;
            http.Response.ContentType = "application/grpc";
            http.Response.Headers["grpc-status"] = ((int)status).ToString(CultureInfo.InvariantCulture);
            http.Response.Headers["grpc-message"] = Uri.EscapeDataString(error.Message);
            return Task.CompletedTask;
        }
        return error.SendAsync(http, Dialects.Of(http.Request.Path));
    }
}
