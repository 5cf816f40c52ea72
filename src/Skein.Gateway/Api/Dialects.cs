using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Api;

/// <summary>The HTTP APIs that a gateway serves. To add one: a folder beside <c>OpenAi/</c> and an entry here.</summary>
internal static class Dialects
{
    private static readonly IApiDialect[] All = [new OpenAiDialect()];

    /// <summary>Registers the services. Needs the sessions, the model catalog, a <see cref="TimeProvider"/> and the gateway's telemetry.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static void AddHttpApi(this IServiceCollection services, ApiOptions options)
    {
        services.AddSingleton(options.Checked());
        services.AddSingleton<RequestMemoryBudget>();
        services.AddSingleton<GenerationEndpoint>();
        services.AddSingleton<ApiKeyStore>();
        services.AddBrokenStreamLogging();
    }

    public static void MapDialects(this IEndpointRouteBuilder endpoints) => endpoints.MapDialects(All);

    /// <summary>Maps the dialects. Any other path under <c>/v1</c> gets 404 with the list of paths.</summary>
    public static void MapDialects(this IEndpointRouteBuilder endpoints, IEnumerable<IApiDialect> dialects)
    {
        var paths = new List<string>();
        foreach (var dialect in dialects)
        {
            var routes = new ApiRoutes(endpoints, dialect);
            dialect.Map(routes);
            paths.AddRange(routes.Paths);
        }
        var allowed = string.Join(", ", paths);
        endpoints.Map("/v1/{**rest}", ApiRoutes.Identified(http => ApiError.Of(
            StatusCodes.Status404NotFound, "unknown_url", $"{http.Request.Path}: no such path; allowed: {allowed}").SendAsync(http)));
    }
}
