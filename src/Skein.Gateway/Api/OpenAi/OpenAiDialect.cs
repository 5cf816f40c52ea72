using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Answers;
using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.OpenAi;

/// <summary>The OpenAI-compatible HTTP API.</summary>
public static class OpenAiApi
{
    /// <summary>
    /// Registers the API. Needs <see cref="IGenerationSessions"/>, <see cref="IModelCatalog"/> and the gateway's telemetry in the services.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    public static IServiceCollection AddOpenAiApi(this IServiceCollection services, ApiOptions options)
    {
        services.TryAddSingleton(options.Checked());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<GenerationEndpoint>();
        services.TryAddSingleton<ModelsEndpoint>();
        services.AddBrokenStreamLogging();
        return services;
    }

    /// <summary>
    /// <c>POST /v1/chat/completions</c>, <c>POST /v1/completions</c>, <c>GET /v1/models</c>; everything else under <c>/v1</c> gets an error
    /// in the same shape, unless it is mapped elsewhere.
    /// </summary>
    public static RouteGroupBuilder MapOpenAiApi(this IEndpointRouteBuilder endpoints)
    {
        var generation = endpoints.ServiceProvider.GetRequiredService<GenerationEndpoint>();
        var models = endpoints.ServiceProvider.GetRequiredService<ModelsEndpoint>();

        var api = endpoints.MapGroup("/v1");
        Map(api, HttpMethods.Post, "/chat/completions", http => generation.AnswerAsync(http, RequestMembers.Chat, AnswerFormat.Chat));
        Map(api, HttpMethods.Post, "/completions", http => generation.AnswerAsync(http, RequestMembers.Completion, AnswerFormat.Completion));
        Map(api, HttpMethods.Get, "/models", models.AnswerAsync);
        api.Map("/{**rest}", Identified(UnknownPathAsync));
        return api;
    }

    /// <summary>One path with one method; any other method on it is told which one it is.</summary>
    private static void Map(RouteGroupBuilder api, string method, string path, RequestDelegate handler)
    {
        api.MapMethods(path, [method], Identified(handler));
        api.Map(path, Identified(http => WrongMethodAsync(http, method)));
    }

    /// <summary>Every answer carries the request's id, errors included, and so do the server's own log lines.</summary>
    private static RequestDelegate Identified(RequestDelegate handler) => http =>
    {
        http.TraceIdentifier = VisibleText.RequestId(http.Request.Headers[SkeinHeaders.RequestId]);
        http.Response.Headers[SkeinHeaders.RequestId] = http.TraceIdentifier;
        return handler(http);
    };

    private static Task WrongMethodAsync(HttpContext http, string allowed)
    {
        http.Response.Headers.Allow = allowed;
        return new ApiError(StatusCodes.Status405MethodNotAllowed, SessionErrors.InvalidRequestType, "method_not_allowed",
            $"{http.Request.Path}: method {http.Request.Method} is not served; allowed: {allowed}").SendAsync(http);
    }

    private static Task UnknownPathAsync(HttpContext http) =>
        new ApiError(StatusCodes.Status404NotFound, SessionErrors.InvalidRequestType, "unknown_url",
            $"{http.Request.Path}: no such path; allowed: /v1/chat/completions, /v1/completions, /v1/models").SendAsync(http);
}
