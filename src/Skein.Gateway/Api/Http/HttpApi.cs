using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Skein.Gateway.Api.Http;

/// <summary>What all HTTP APIs share.</summary>
internal static class HttpApi
{
    /// <summary>
    /// Registers the services of the APIs. Needs <see cref="IGenerationSessions"/>, <see cref="IModelCatalog"/>, <see cref="TimeProvider"/> and the
    /// gateway's telemetry.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static void AddHttpApi(this IServiceCollection services, ApiOptions options)
    {
        services.AddSingleton(options.Checked());
        services.AddSingleton<RequestMemoryBudget>();
        services.AddSingleton<GenerationEndpoint>();
        services.AddBrokenStreamLogging();
    }

    /// <summary>Maps the dialects. Any other path under <c>/v1</c> gets 404 with the list of paths.</summary>
    public static void Map(IEndpointRouteBuilder endpoints, IEnumerable<IApiDialect> dialects)
    {
        var paths = new List<string>();
        foreach (var dialect in dialects)
        {
            var routes = new ApiRoutes(endpoints, dialect);
            dialect.Map(routes);
            paths.AddRange(routes.Paths);
        }
        var allowed = string.Join(", ", paths);
        endpoints.Map("/v1/{**rest}", ApiRoutes.Identified(http => new ApiError(StatusCodes.Status404NotFound, ClientError.InvalidRequestType,
            "unknown_url", $"{http.Request.Path}: no such path; allowed: {allowed}").SendAsync(http)));
    }
}
