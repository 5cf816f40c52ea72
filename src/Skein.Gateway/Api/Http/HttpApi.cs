using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Skein.Gateway.Api.Http;

/// <summary>What all HTTP APIs share.</summary>
public static class HttpApi
{
    /// <summary>
    /// Registers the services of the HTTP APIs. Needs <see cref="IGenerationSessions"/>, <see cref="IModelCatalog"/> and the gateway's telemetry.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static IServiceCollection AddHttpApi(this IServiceCollection services, ApiOptions options)
    {
        services.TryAddSingleton(options.Checked());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<RequestMemoryBudget>();
        services.TryAddSingleton<GenerationEndpoint>();
        services.AddBrokenStreamLogging();
        return services;
    }

    /// <summary>Maps the dialects. Any other path under <c>/v1</c> gets 404 with the list of paths.</summary>
    internal static void Map(IEndpointRouteBuilder endpoints, IEnumerable<IApiDialect> dialects)
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
