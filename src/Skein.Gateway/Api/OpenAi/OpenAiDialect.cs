using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Answers;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.OpenAi;

/// <summary>OpenAI's HTTP API: chat completions, completions, models.</summary>
internal sealed class OpenAiDialect : IApiDialect
{
    public string Name => "OpenAI";

    public void Map(ApiRoutes routes)
    {
        routes.MapGeneration("/v1/chat/completions", new OpenAiGeneration(RequestMembers.Chat, AnswerFormat.Chat));
        routes.MapGeneration("/v1/completions", new OpenAiGeneration(RequestMembers.Completion, AnswerFormat.Completion));
        routes.MapGet("/v1/models", http => ApiError.SendJsonAsync(http, ModelList(http.RequestServices.GetRequiredService<IModelCatalog>().List())));
    }

    public void WriteError(ApiError error, IBufferWriter<byte> output) => error.WriteBody(output);

    public void WriteErrorEvent(ApiError error, IBufferWriter<byte> output)
    {
        output.Write("data: "u8);
        error.WriteBody(output);
        output.Write("\n\n"u8);
    }

    private static byte[] ModelList(IReadOnlyList<ServedModel> models) => JsonSerializer.SerializeToUtf8Bytes(new
    {
        @object = "list",
        data = models.Select(model => new
        {
            id = model.Description.Name, @object = "model", created = model.FirstSeen.ToUnixTimeSeconds(), owned_by = "skein",
        }),
    }, ApiError.Readable);

    private sealed class OpenAiGeneration(JsonMembers<OpenAiRequest> members, AnswerFormat format) : IGenerationApi
    {
        public string Operation => format.Operation;

        public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
        {
            var request = members.Read(body);
            var plan = AnswerPlan.For(request, format, now);
            return new ApiRequest(request.Generate, request.Stream, request.Stream
                ? sessionId => new ChunkWriter(plan, sessionId)
                : sessionId => new WholeAnswerWriter(plan, sessionId));
        }
    }
}
