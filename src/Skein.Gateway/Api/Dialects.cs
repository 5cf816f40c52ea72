using Microsoft.AspNetCore.Routing;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi;

namespace Skein.Gateway.Api;

/// <summary>The HTTP APIs that a gateway serves. To add one: a folder beside <c>OpenAi/</c> and an entry here.</summary>
internal static class Dialects
{
    private static readonly IApiDialect[] All = [new OpenAiDialect()];

    /// <summary>Maps the endpoints of every dialect. Needs <see cref="HttpApi.AddHttpApi"/>.</summary>
    public static void MapDialects(this IEndpointRouteBuilder endpoints) => HttpApi.Map(endpoints, All);
}
