using Microsoft.AspNetCore.Routing;

namespace Skein.Gateway.Api.Http;

/// <summary>Maps the endpoints of one dialect. Every response carries the id of its request. A wrong method gets 405 with the allowed one.</summary>
internal sealed class ApiRoutes(IEndpointRouteBuilder endpoints, IApiDialect dialect)
{
    private readonly GenerationEndpoint _generation = endpoints.ServiceProvider.GetRequiredService<GenerationEndpoint>();

    public List<string> Paths { get; } = [];

    public void MapGeneration(string path, IGenerationApi api) => Map(HttpMethods.Post, path, http => _generation.AnswerAsync(http, dialect, api));

    public void MapGet(string path, RequestDelegate handler) => Map(HttpMethods.Get, path, handler);

    /// <summary>Gives the request its id: in logs, in the response and in errors.</summary>
    public static RequestDelegate Identified(RequestDelegate handler) => http =>
    {
        http.TraceIdentifier = VisibleText.RequestId(http.Request.Headers[SkeinHeaders.RequestId]);
        http.Response.Headers[SkeinHeaders.RequestId] = http.TraceIdentifier;
        return handler(http);
    };

    private void Map(string method, string path, RequestDelegate handler)
    {
        Paths.Add(path.Replace("{**", "{", StringComparison.Ordinal));
        endpoints.MapMethods(path, [method], Identified(handler)).WithDisplayName($"{dialect.Name}: {method} {path}");
        endpoints.Map(path, Identified(http =>
        {
            http.Response.Headers.Allow = method;
            return ApiError.Of(StatusCodes.Status405MethodNotAllowed, "method_not_allowed",
                $"{http.Request.Path}: method {http.Request.Method} is not served; allowed: {method}").SendAsync(http, dialect);
        }));
    }
}
