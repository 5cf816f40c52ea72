using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.PassThrough;

/// <summary>
/// Calls of engines that are not generation, such as embeddings: passed by model to a server that serves it, with its answer back as it is. Errors have
/// OpenAI's format.
/// </summary>
internal sealed class PassThroughDialect : IApiDialect
{
    public string Name => "pass-through";

    public void Map(ApiRoutes routes)
    {
        var endpoint = routes.Services.GetRequiredService<PassThroughEndpoint>();
        foreach (var path in EnginePaths.Default)
            routes.MapPost(path, AnswerTo(path));
        foreach (var path in routes.Services.GetRequiredService<ApiOptions>().PassThrough.Except(EnginePaths.Default, StringComparer.OrdinalIgnoreCase))
            routes.Map([HttpMethods.Get, HttpMethods.Post], path, AnswerTo(path));

        RequestDelegate AnswerTo(string path)
        {
            var operation = path == "/v1/embeddings" ? MetricNames.EmbeddingsOperation : MetricNames.PassThroughOperation;
            return http => endpoint.AnswerAsync(http, this, path, operation);
        }
    }

    public void WriteError(ApiError error, IBufferWriter<byte> output) => error.WriteBody(output);
}
