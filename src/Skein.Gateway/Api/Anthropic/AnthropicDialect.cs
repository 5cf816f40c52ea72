using Skein.Gateway.Api.Anthropic.Answers;
using Skein.Gateway.Api.Anthropic.Requests;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Anthropic;

/// <summary>
/// Anthropic's HTTP API: messages, and the tokens of a prompt. The versions and features that its headers and its query name are all served alike.
/// </summary>
internal sealed class AnthropicDialect : IApiDialect
{
    private const string MessagesPath = "/v1/messages";

    public string Name => "Anthropic";

    public string RequestIdHeader => "request-id";

    public bool Owns(PathString path) => path.StartsWithSegments(MessagesPath, StringComparison.Ordinal);

    public void Map(ApiRoutes routes)
    {
        routes.MapGeneration(MessagesPath, new MessagesApi());
        routes.MapGeneration($"{MessagesPath}/count_tokens", new TokenCountApi());
        // Asked by clients before their first message.
        routes.MapPing("/");
    }

    public void WriteError(ApiError error, IBufferWriter<byte> output) => AnthropicError.Write(error, output);

    private static string ClientMember(string member) => member switch
    {
        "chat_template_kwargs" => "thinking",
        "response_format" => "output_config.format",
        "reasoning_effort" => "output_config.effort",
        "stop" => "stop_sequences",
        "parallel_tool_calls" => "tool_choice.disable_parallel_tool_use",
        // An answer that the client began.
        "add_generation_prompt" or "continue_final_message" => "messages",
        // Messages are divided otherwise: the number is not the client's.
        _ when member.StartsWith("messages[", StringComparison.Ordinal) => "messages",
        _ => member,
    };

    private sealed class MessagesApi : IGenerationApi
    {
        public string Operation => MetricNames.ChatOperation;

        public string ClientMember(string member) => AnthropicDialect.ClientMember(member);

        public string DescribeOverflow(FaultException overflow, uint? maxTokens) => AnthropicError.OfOverflow(overflow, maxTokens);

        public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
        {
            var request = MessagesMembers.All.Read(body);
            var plan = MessagePlan.For(request);
            return new ApiRequest(request.Generate, request.Stream
                ? sessionId => new MessageEventWriter(plan, sessionId)
                : sessionId => new MessageWriter(plan, sessionId))
            {
                UserId = request.UserId,
            };
        }
    }

    /// <summary>
    /// Asks for an answer of one token, and ends it when the engine has told the length of the prompt: every engine that counts can be asked so, and its own
    /// chat template and tokenizer count.
    /// </summary>
    private sealed class TokenCountApi : IGenerationApi
    {
        public string Operation => MetricNames.ChatOperation;

        public string ClientMember(string member) => AnthropicDialect.ClientMember(member);

        public string DescribeOverflow(FaultException overflow, uint? maxTokens) => AnthropicError.OfOverflow(overflow, maxTokens);

        public ApiRequest Read(ReadOnlyMemory<byte> body, DateTimeOffset now)
        {
            var request = MessagesMembers.All.Read(body);
            request.Generate.MaxTokens = 1;
            return new ApiRequest(request.Generate, _ => new TokenCountWriter()) { UserId = request.UserId };
        }
    }
}
