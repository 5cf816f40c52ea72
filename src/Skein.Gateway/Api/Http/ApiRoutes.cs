using Microsoft.AspNetCore.Routing;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Maps the endpoints of one dialect. Every response carries the id of its request. A wrong method gets 405 with the allowed ones; HEAD is served wherever
/// GET is.
/// </summary>
internal sealed class ApiRoutes(IEndpointRouteBuilder endpoints, IApiDialect dialect)
{
    private readonly GenerationEndpoint _generation = endpoints.ServiceProvider.GetRequiredService<GenerationEndpoint>();
    private readonly ApiPaths _paths = endpoints.ServiceProvider.GetRequiredService<ApiPaths>();

    /// <summary>Services of the gateway.</summary>
    public IServiceProvider Services => endpoints.ServiceProvider;

    public void MapGeneration(string path, IGenerationApi api) => MapPost(path, http => _generation.AnswerAsync(http, dialect, api));

    public void MapGet(string path, RequestDelegate handler) => Map([HttpMethods.Get, HttpMethods.Head], path, handler);

    public void MapPost(string path, RequestDelegate handler) => Map([HttpMethods.Post], path, handler);

    /// <summary>Answers HEAD with 200: clients ask whether a server is there.</summary>
    public void MapPing(string path) =>
        endpoints.MapMethods(path, [HttpMethods.Head], Identified(static _ => Task.CompletedTask)).WithDisplayName($"{dialect.Name}: HEAD {path}");

    /// <summary>Gives the request its id: in logs, in the response and in errors.</summary>
    /// <param name="header">A second response header that carries it; null: none.</param>
    public static RequestDelegate Identified(RequestDelegate handler, string? header = null) => http =>
    {
        http.TraceIdentifier = VisibleText.RequestId(http.Request.Headers[SkeinHeaders.RequestId]);
        http.Response.Headers[SkeinHeaders.RequestId] = http.TraceIdentifier;
        if (header is not null)
            http.Response.Headers[header] = http.TraceIdentifier;
        return handler(http);
    };

    /// <summary>Maps a path for some methods.</summary>
    public void Map(IReadOnlyList<string> methods, string path, RequestDelegate handler)
    {
        _paths.Add(path, methods);
        var allowed = string.Join(", ", methods);
        endpoints.MapMethods(path, methods, Identified(handler, dialect.RequestIdHeader)).WithDisplayName($"{dialect.Name}: {allowed} {path}");
        endpoints.Map(path, Identified(http =>
        {
            http.Response.Headers.Allow = allowed;
            return ApiError.Of(StatusCodes.Status405MethodNotAllowed, "method_not_allowed",
                $"{http.Request.Path}: method {http.Request.Method} is not served; allowed: {allowed}").SendAsync(http, dialect);
        }, dialect.RequestIdHeader));
    }
}
