using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Responses.Answers;
using Skein.Gateway.Api.OpenAi.Responses.Requests;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.OpenAi.Responses;

/// <summary><c>POST /v1/responses</c>, as a chat.</summary>
internal sealed class ResponsesApi(ApiOptions options) : IGenerationApi
{
    private readonly KeptItems _kept = new(options.KeptItemBytes);

    public string Operation => MetricNames.ChatOperation;

    public string ClientMember(string member) => member switch
    {
        "response_format" => "text.format",
        "max_tokens" => "max_output_tokens",
        "reasoning_effort" => "reasoning.effort",
        "verbosity" => "text.verbosity",
        // Items are divided otherwise: the number is not the client's.
        _ when member == "messages" || member.StartsWith("messages[", StringComparison.Ordinal) => "input",
        _ => member,
    };

    public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
    {
        var request = ResponsesMembers.Read(body, _kept);
        var plan = ResponsePlan.For(request, _kept, now);
        return new ApiRequest(request.Generate, request.Stream
            ? sessionId => new ResponseEventWriter(plan, sessionId)
            : sessionId => new ResponseWriter(plan, sessionId))
        {
            UserId = request.Metadata?.Find("user_id")?.Text(),
        };
    }
}
