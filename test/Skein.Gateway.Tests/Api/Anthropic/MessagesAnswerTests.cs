using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.Anthropic;

public sealed class MessagesAnswerTests
{
    private const string Path = "/v1/messages";
    private const string Whole = """{"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}""";
    private const string Streamed = """{"model": "tiny", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]}""";
    private const string Calls =
        """
        {"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":""}}]}
        """;

    private static readonly string Thinking = Streamed.Replace("{\"model\"", """{"thinking": {"type": "adaptive"}, "model" """.TrimEnd(), StringComparison.Ordinal);

    [Fact]
    public async Task Post_Stream_SendsTheTypedEventsOfAMessage()
    {
        var text = await PostAsync(Streamed, Frames.Answer("Once", " \"upon\""));

        Assert.Equal(
            """
            event: message_start
            data: {"type":"message_start","message":{"id":"msg_0123456789abcdef0123456789abcdef","type":"message","role":"assistant","model":"tiny","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}

            event: content_block_start
            data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Once"}}

            event: content_block_delta
            data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" \"upon\""}}

            event: content_block_stop
            data: {"type":"content_block_stop","index":0}

            event: message_delta
            data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}

            event: message_stop
            data: {"type":"message_stop"}


            """,
            text);
    }

    [Fact]
    public async Task Post_Whole_IsOneMessage()
    {
        var finish = Frames.Finish(2);
        finish.Finish.Usage.CachedPromptTokens = 2;

        var text = await PostAsync(Whole, Frames.Start(), Frames.Token(0, "Once"), Frames.Token(1, " upon"), finish);

        Assert.Equal(
            """
            {"id":"msg_0123456789abcdef0123456789abcdef","type":"message","role":"assistant","model":"tiny","content":[{"type":"text","text":"Once upon"}],
            "stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":2}}
            """.ReplaceLineEndings(""),
            text);
    }

    [Fact]
    public async Task Post_ThinkingTextAndCalls_AreBlocksInOrder()
    {
        GenerateFrame[] frames =
        [
            Frames.Start(), Frames.Delta(0, """{"reasoning_content":"hm"}"""), Frames.Delta(1, """{"reasoning":"!"}"""), Frames.Token(2, "I look."),
            Frames.ToolCalls(3, Calls),
        ];

        var events = (await PostAsync(Thinking, frames)).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(Data).ToList();
        var whole = JsonElement.Parse(await PostAsync(Thinking.Replace("\"stream\": true", "\"stream\": false", StringComparison.Ordinal), frames));

        Assert.Equal(
            [
                "0 thinking", "0 hm", "0 !", "0 signature_delta", "0 stop", "1 text", "1 I look.", "1 stop", "2 tool_use", """2 {"a":1}""", "2 stop", "3 tool_use",
                "3 stop",
            ],
            events.Where(data => data.TryGetProperty("index", out _)).Select(Describe));
        Assert.Contains(events, data => data.GetRawText().Contains("\"stop_reason\":\"tool_use\"", StringComparison.Ordinal));
        Assert.Equal(
            """
            [{"type":"thinking","thinking":"hm!","signature":"skein"},{"type":"text","text":"I look."},{"type":"tool_use","id":"c1","name":"f","input":{"a":1}},
            {"type":"tool_use","id":"c2","name":"g","input":{}}]
            """.ReplaceLineEndings(""),
            whole.GetProperty("content").GetRawText());
    }

    [Fact]
    public async Task Post_ThinkingNotAskedFor_IsLeftOut()
    {
        GenerateFrame[] frames = [Frames.Start(), Frames.Delta(0, """{"reasoning_content":"hm"}"""), Frames.Token(1, "yes"), Frames.Finish(2)];

        Assert.DoesNotContain("hm", await PostAsync(Streamed, frames), StringComparison.Ordinal);
        Assert.Contains("""
            "content":[{"type":"text","text":"yes"}]
            """.Trim(), await PostAsync(Whole, frames), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(FinishReason.Length, "", "\"max_tokens\",\"stop_sequence\":null")]
    [InlineData(FinishReason.ContentFilter, "", "\"refusal\",\"stop_sequence\":null")]
    [InlineData(FinishReason.Stop, "END", "\"stop_sequence\",\"stop_sequence\":\"END\"")]
    [InlineData(FinishReason.ToolCalls, "", "\"end_turn\",\"stop_sequence\":null")]
    public async Task Post_FinishReason_IsTranslated(FinishReason reason, string matched, string expected)
    {
        var finish = Frames.Finish(1, reason: reason);
        finish.Finish.MatchedStop = matched;

        var text = await PostAsync(Whole, Frames.Start(), Frames.Token(0, "a"), finish);

        Assert.Contains("\"stop_reason\":" + expected, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_ArgumentsThatAreNotJson_ReachTheClientsToolAsText()
    {
        var text = await PostAsync(
            Whole, Frames.Start(), Frames.ToolCalls(1, """{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":"}}]}"""));

        Assert.Contains("""
            "input":{"INVALID_JSON":"{\"a\":"}
            """.Trim(), text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_EmptyAnswerOfAnEngineThatDoesNotCount_IsStillAMessage()
    {
        var finish = Frames.Finish(0);
        finish.Finish.Usage = null;

        var text = await PostAsync(Streamed, Frames.Start(promptTokens: 0), finish);

        Assert.Equal(
            ["message_start", "message_delta", "message_stop"],
            text.Split('\n').Where(line => line.StartsWith("event: ", StringComparison.Ordinal)).Select(line => line["event: ".Length..]));
        Assert.Contains("\"output_tokens\":0", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_NothingToSend_PingsAfterTheStartOfTheMessage()
    {
        var time = new FakeTimeProvider();
        await using var gateway = await TestGateway.StartAsync(session => session.Push(Frames.Start()), time: time);
        using var http = await RawHttp.PostAsync(gateway.Http1, Path, Streamed);
        var session = await gateway.Sessions.StartedAsync();

        await session.WaitsAsync();
        time.Advance(TimeSpan.FromSeconds(15));
        var head = await http.ReadUntilAsync("data: {\"type\":\"ping\"}\n\n");

        Assert.True(
            head.IndexOf("event: message_start", StringComparison.Ordinal) < head.IndexOf("event: ping", StringComparison.Ordinal),
            $"the message does not start before the ping: {head}");
    }

    [Fact]
    public async Task Post_AfterAFailover_TellsItInTheLastEvent()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Failovers = [new Failover(0, 1, "replica-2", "stall")];
            session.Push(Frames.Answer("a"));
            session.End();
        });

        Assert.EndsWith(
            "\n\n: skein failovers=1 attempts=1 [token 1: replica-2 lost (stall)]\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            await gateway.Client.PostTextAsync(Path, Streamed),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_StreamLost_EndsWithAnErrorEventAndNoEndOfTheResponse()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "a"));
            session.Fail(Fault.StreamLost, "two replicas lost");
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, Path, Streamed);

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.False(isTerminated);
        Assert.EndsWith(
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"two replicas lost\"}}\n\n", string.Concat(chunks),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Fault.QueueFull, 429, "rate_limit_error", "busy")]
    [InlineData(Fault.NoReplica, 503, "overloaded_error", "busy")]
    [InlineData(Fault.ModelNotFound, 404, "not_found_error", "busy")]
    [InlineData(Fault.ContextLengthExceeded, 400, "invalid_request_error", "prompt is too long: busy")]
    public async Task Post_Refused_HasStatusAndAnthropicsForm(Fault fault, int status, string type, string message)
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Fail(fault, "busy"));

        using var response = await gateway.Client.PostAsync(Path, Requests.Json(Whole));

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(
            $$$"""{"type":"error","error":{"type":"{{{type}}}","message":"{{{message}}}"}}""", await response.Content.ReadAsStringAsync());
        Assert.Equal(response.Headers.GetValues("x-request-id"), response.Headers.GetValues("request-id"));
    }

    /// <summary>Claude Code looks for these words: it shortens the conversation, or asks for fewer tokens.</summary>
    [Theory]
    [InlineData("the model's context holds 32768 tokens; asked for: a prompt of 12000 and max_tokens 32000", null,
        "input length and `max_tokens` exceed context limit: 12000 + 32000 > 32768, decrease input length or `max_tokens` and try again")]
    [InlineData("This model's maximum context length is 32768 tokens. However, you requested 44000 tokens (12000 in the messages, 32000 in the completion).", 400,
        "input length and `max_tokens` exceed context limit: 12000 + 32000 > 32768, decrease input length or `max_tokens` and try again")]
    [InlineData("request (40000 tokens) exceeds the available context size (32768 tokens), try increasing it", 400,
        "prompt is too long: 40000 tokens > 32768 maximum")]
    [InlineData("the model's context holds 32768 tokens; asked for: a prompt of 32800 and max_tokens 32000", null,
        "prompt is too long: 32800 tokens > 32768 maximum")]
    [InlineData("too much", 400, "prompt is too long: too much")]
    public async Task Post_ContextOverflows_ErrorTellsWhatToShorten(string engine, int? status, string message)
    {
        var answer = status is { } code ? new EngineError(code, engine) : null;
        await using var gateway = await TestGateway.StartAsync(
            session => session.Fail(new FaultException(Fault.ContextLengthExceeded, engine) { Engine = answer }));

        using var response = await gateway.Client.PostAsync(Path, Requests.Json(Whole.Replace("9", "32000", StringComparison.Ordinal)));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        using var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(message, error.RootElement.GetProperty("error").GetProperty("message").GetString());
    }

    [Fact]
    public async Task ErrorsOutsideTheDialect_HaveItsFormOnItsPaths()
    {
        await using var gateway = await TestGateway.StartAsync();

        using var wrongMethod = await gateway.Client.GetAsync(Path);
        using var unknown = await gateway.Client.PostAsync($"{Path}/batches", Requests.Json("{}"));
        using var wrongType = await gateway.Client.PostAsync(Path, new StringContent("x", System.Text.Encoding.UTF8, "text/csv"));

        foreach (var (response, status) in new[]
        {
            (wrongMethod, HttpStatusCode.MethodNotAllowed), (unknown, HttpStatusCode.NotFound), (wrongType, HttpStatusCode.UnsupportedMediaType),
        })
        {
            Assert.Equal(status, response.StatusCode);
            Assert.StartsWith("{\"type\":\"error\",\"error\":{\"type\":\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Post_HeadersAndQueryOfAnthropicsClients_ChangeNothing()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Path}?beta=true")
        {
            Content = Requests.Json(Whole),
            Headers = { { "anthropic-version", "2023-06-01" }, { "anthropic-beta", "context-management-2025-06-27,x" }, { "x-api-key", "none" } },
        };

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Head_Root_SaysThatTheGatewayIsThere()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Head, "/");

        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private static JsonElement Data(string @event) => JsonElement.Parse(@event[(@event.IndexOf("data: ", StringComparison.Ordinal) + "data: ".Length)..]);

    private static string Describe(JsonElement data)
    {
        var what = data.GetProperty("type").GetString() switch
        {
            "content_block_start" => data.GetProperty("content_block").GetProperty("type").GetString(),
            "content_block_stop" => "stop",
            _ => data.GetProperty("delta") switch
            {
                var delta when delta.TryGetProperty("thinking", out var thinking) => thinking.GetString(),
                var delta when delta.TryGetProperty("text", out var text) => text.GetString(),
                var delta when delta.TryGetProperty("partial_json", out var json) => json.GetString(),
                var delta => delta.GetProperty("type").GetString(),
            },
        };
        return $"{data.GetProperty("index").GetInt32()} {what}";
    }

    private static async Task<string> PostAsync(string body, params GenerateFrame[] frames)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(frames);
            session.End();
        });
        return await gateway.Client.PostTextAsync(Path, body);
    }
}
