using Microsoft.AspNetCore.Routing;

namespace Skein.Gateway.Api.Http;

/// <summary>What runs before and after the endpoints of the HTTP port, in front of routing.</summary>
internal static partial class ApiMiddleware
{
    private const string GrpcContentType = "application/grpc";

    /// <summary>Finds the path that a client means, and gives every error a JSON body. Routing must follow.</summary>
    public static void UseApiPaths(this IApplicationBuilder app)
    {
        var paths = app.ApplicationServices.GetRequiredService<ApiPaths>();
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ApiMiddleware));
        app.Use((http, next) =>
        {
            if (IsGrpc(http))
                return next(http);
            var path = http.Request.Path.Value ?? "/";
            if (paths.Resolve(path) is var meant && !ReferenceEquals(meant, path))
                http.Request.Path = meant;
            return AnswerAsync(http, next, paths, logger);
        });
    }

    private static bool IsGrpc(HttpContext http) => http.Request.ContentType?.StartsWith(GrpcContentType, StringComparison.OrdinalIgnoreCase) == true;

    private static async Task AnswerAsync(HttpContext http, RequestDelegate next, ApiPaths paths, ILogger logger)
    {
        try
        {
            await next(http);
        }
        catch (BadHttpRequestException refused) when (!http.Response.HasStarted)
        {
            http.Response.Clear();
            await ErrorAsync(http, refused.StatusCode, "bad_request", refused.Message);
            return;
        }
        catch (Exception bug) when (!http.Response.HasStarted && !http.RequestAborted.IsCancellationRequested)
        {
            http.Response.Clear();
            Log.Failed(logger, http.Request.Method, http.Request.Path, bug);
            await ErrorAsync(http, StatusCodes.Status500InternalServerError, ClientError.Internal.Code, "the gateway failed; its log tells more");
            return;
        }

        if (http.Response is not { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
            return;
        var path = http.Request.Path.Value;
        await (http.Response.StatusCode switch
        {
            StatusCodes.Status404NotFound => ErrorAsync(
                http, StatusCodes.Status404NotFound, "unknown_url", $"{path}: no such path; allowed: {paths.Allowed}"),
            StatusCodes.Status405MethodNotAllowed => ErrorAsync(
                http, StatusCodes.Status405MethodNotAllowed, "method_not_allowed",
                $"{path}: method {http.Request.Method} is not served; allowed: {http.Response.Headers.Allow}"),
            var status => ErrorAsync(http, status, "bad_request", $"{path}: the request is refused with status {status}"),
        });
    }

    private static Task ErrorAsync(HttpContext http, int status, string code, string message) =>
        ApiRoutes.Identified(context => ApiError.Of(status, code, message).SendAsync(context, Dialects.Of(context.Request.Path)))(http);

    private static partial class Log
    {
        [LoggerMessage(3003, LogLevel.Error, "{Method} {Path} failed")]
        public static partial void Failed(ILogger logger, string method, string path, Exception exception);
    }
}
