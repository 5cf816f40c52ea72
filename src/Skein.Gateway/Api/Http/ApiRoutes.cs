using Microsoft.AspNetCore.Routing;

namespace Skein.Gateway.Api.Http;

/// <summary>Maps the endpoints of one dialect. Every response carries the id of its request. A wrong method gets 405 with the allowed one.</summary>
internal sealed class ApiRoutes(IEndpointRouteBuilder endpoints, IApiDialect dialect)
{
    private readonly GenerationEndpoint _generation = endpoints.ServiceProvider.GetRequiredService<GenerationEndpoint>();

    public List<string> Paths { get; } = [];

    /// <summary>Services of the gateway.</summary>
    public IServiceProvider Services => endpoints.ServiceProvider;

    public void MapGeneration(string path, IGenerationApi api) => Map(HttpMethods.Post, path, http => _generation.AnswerAsync(http, dialect, api));

    public void MapGet(string path, RequestDelegate handler) => Map(HttpMethods.Get, path, handler);

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

    private void Map(string method, string path, RequestDelegate handler)
    {
        Paths.Add(path.Replace("{**", "{", StringComparison.Ordinal));
        endpoints.MapMethods(path, [method], Identified(handler, dialect.RequestIdHeader)).WithDisplayName($"{dialect.Name}: {method} {path}");
        endpoints.Map(path, Identified(http =>
        {
            http.Response.Headers.Allow = method;
            return ApiError.Of(StatusCodes.Status405MethodNotAllowed, "method_not_allowed",
                $"{http.Request.Path}: method {http.Request.Method} is not served; allowed: {method}").SendAsync(http, dialect);
        }, dialect.RequestIdHeader));
    }
}
