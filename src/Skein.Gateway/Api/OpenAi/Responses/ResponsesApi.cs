using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Responses.Answers;
using Skein.Gateway.Api.OpenAi.Responses.Requests;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.OpenAi.Responses;

/// <summary><c>POST /v1/responses</c>, as a chat. Nothing is kept after the answer.</summary>
internal sealed class ResponsesApi : IGenerationApi
{
    public string Operation => MetricNames.ChatOperation;

    public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
    {
        var request = ResponsesMembers.All.Read(body);
        var plan = ResponsePlan.For(request, now);
        return new ApiRequest(request.Generate, request.Stream
            ? sessionId => new ResponseEventWriter(plan, sessionId)
            : sessionId => new ResponseWriter(plan, sessionId));
    }
}
