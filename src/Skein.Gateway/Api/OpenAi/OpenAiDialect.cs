using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Answers;
using Skein.Gateway.Api.OpenAi.Requests;
using Skein.Gateway.Api.OpenAi.Responses;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Api.OpenAi;

/// <summary>OpenAI's HTTP API: chat completions, completions, responses, models.</summary>
internal sealed class OpenAiDialect : IApiDialect
{
    public string Name => "OpenAI";

    public void Map(ApiRoutes routes)
    {
        routes.MapGeneration("/v1/chat/completions", new OpenAiGeneration(RequestMembers.Chat, AnswerFormat.Chat));
        routes.MapGeneration("/v1/completions", new OpenAiGeneration(RequestMembers.Completion, AnswerFormat.Completion));
        routes.MapGeneration("/v1/responses", new ResponsesApi(routes.Services.GetRequiredService<ApiOptions>()));
        routes.MapGet("/v1/models", http => ApiError.SendJsonAsync(http, ModelList(ModelsFor(http))));
        // Names of models may contain slashes, which clients escape or not.
        routes.MapGet("/v1/models/{**model}", SendModelAsync);
    }

    public void WriteError(ApiError error, IBufferWriter<byte> output) => error.WriteBody(output);

    /// <summary>The models that the client's key allows.</summary>
    private static List<ServedModel> ModelsFor(HttpContext http)
    {
        var grant = http.Features.Get<KeyGrant>();
        return [.. http.RequestServices.GetRequiredService<IModelCatalog>().List().Where(model => grant?.Allows(model.Description.Name) != false)];
    }

    private Task SendModelAsync(HttpContext http)
    {
        var name = ((string?)http.Request.RouteValues["model"] ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        var model = ModelsFor(http).FirstOrDefault(served => served.Description.Name == name);
        if (model is null)
            return ApiError.From(new FaultException(Fault.ModelNotFound, $"model '{name}' is not served now"), http.TraceIdentifier).SendAsync(http, this);
        var body = new ArrayBufferWriter<byte>(512);
        var json = new JsonSink(body);
        Write(ref json, model);
        json.Complete();
        return ApiError.SendJsonAsync(http, body.WrittenMemory);
    }

    private static ReadOnlyMemory<byte> ModelList(List<ServedModel> models)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        var json = new JsonSink(body);
        json.Raw("{\"object\":\"list\",\"data\":["u8);
        for (var i = 0; i < models.Count; i++)
        {
            json.Separate(i);
            Write(ref json, models[i]);
        }

        json.Raw("]}"u8);
        json.Complete();
        return body.WrittenMemory;
    }

    private static void Write(ref JsonSink json, ServedModel model)
    {
        json.Raw("{\"id\":"u8);
        json.Text(model.Description.Name);
        json.Raw(",\"object\":\"model\""u8);
        var metadata = Metadata(model.Description);
        if (metadata?.TryGetProperty("created"u8, out _) != true)
        {
            json.Raw(",\"created\":"u8);
            json.Number(model.FirstSeen.ToUnixTimeSeconds());
        }
        if (metadata?.TryGetProperty("owned_by"u8, out _) != true)
            json.Raw(",\"owned_by\":\"skein\""u8);
        if (metadata is not null)
            json.Members(RawDelta.Members(model.Description.Metadata.Span));
        json.Raw("}"u8);
    }

    // What the engine says of the model. A list does not fail because one replica sends something else.
    private static JsonElement? Metadata(ModelDescription model) =>
        JsonShape.IsObject(model.Metadata.Span) ? JsonElement.Parse(model.Metadata.Span) : null;

    private sealed class OpenAiGeneration(JsonMembers<OpenAiRequest> members, AnswerFormat format) : IGenerationApi
    {
        private const string PromptIds = "prompt.token_ids";

        public string Operation => format.Operation;

        public string ClientMember(string member) =>
            member.StartsWith(PromptIds, StringComparison.Ordinal) ? string.Concat("prompt", member.AsSpan(PromptIds.Length)) : member;

        public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
        {
            var request = members.Read(body);
            request.Generate.Whole = !request.Stream;
            var plan = AnswerPlan.For(request, format, now);
            return new ApiRequest(request.Generate, request.Stream
                ? sessionId => new ChunkWriter(plan, sessionId)
                : sessionId => new WholeAnswerWriter(plan, sessionId))
            {
                Prompts = request.Prompts,
            };
        }
    }
}
