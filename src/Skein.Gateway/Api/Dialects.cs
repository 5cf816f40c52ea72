using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Anthropic;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi;
using Skein.Gateway.Api.PassThrough;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Api;

/// <summary>The HTTP APIs that a gateway serves. To add one: a folder beside <c>OpenAi/</c> and an entry here.</summary>
internal static class Dialects
{
    private static readonly IApiDialect[] All = [new OpenAiDialect(), new AnthropicDialect(), new PassThroughDialect()];

    /// <summary>Registers the services. Needs the sessions, the model catalog, a <see cref="TimeProvider"/> and the gateway's telemetry.</summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static void AddHttpApi(this IServiceCollection services, ApiOptions options)
    {
        services.AddSingleton(options.Checked());
        services.AddSingleton<RequestMemoryBudget>();
        services.AddSingleton<RequestRunner>();
        services.AddSingleton<KeptAnswers>();
        services.AddSingleton<GenerationEndpoint>();
        services.AddSingleton<PassThroughEndpoint>();
        services.AddSingleton<ApiPaths>();
        services.AddApiCors(options, All.Select(dialect => dialect.RequestIdHeader).OfType<string>());
        services.AddSingleton<ApiKeyStore>();
        services.AddServerLogging();
    }

    /// <summary>Adds what runs before the endpoints of the HTTP port, routing included.</summary>
    public static void UseHttpApi(this IApplicationBuilder app)
    {
        app.UseApiPaths();
        app.UseRouting();
        app.UseApiCors();
    }

    public static void MapDialects(this IEndpointRouteBuilder endpoints) => endpoints.MapDialects(All);

    /// <summary>The dialect in whose format errors on a path are; null if it belongs to none.</summary>
    public static IApiDialect? Of(PathString path) => All.FirstOrDefault(dialect => dialect.Owns(path));

    /// <summary>Maps the dialects.</summary>
    public static void MapDialects(this IEndpointRouteBuilder endpoints, IEnumerable<IApiDialect> dialects)
    {
        foreach (var dialect in dialects)
            dialect.Map(new ApiRoutes(endpoints, dialect));
    }
}
