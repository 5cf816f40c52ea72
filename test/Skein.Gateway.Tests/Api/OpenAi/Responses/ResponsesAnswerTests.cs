using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api.Http;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.OpenAi.Responses;

public sealed class ResponsesAnswerTests
{
    private const string Path = "/v1/responses";
    private const string Id = "0123456789abcdef0123456789abcdef";
    private const string Whole = """{"model": "tiny", "input": "hi"}""";
    private const string Streamed = """{"model": "tiny", "stream": true, "input": "hi"}""";

    private const string Tools =
        """
        {"model": "tiny", "stream": true, "input": "hi", "tools": [{"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read"}]},
        {"type": "custom", "name": "patch"}]}
        """;

    private static readonly GenerateFrame[] Calls =
    [
        Frames.Start(), Frames.Delta(0, """{"reasoning_content":"hm"}"""), Frames.Token(1, "I look."),
        Frames.ToolCalls(2,
            """
            {"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"files__read","arguments":"{\"a\":1}"}},
            {"index":1,"id":"c2","type":"function","function":{"name":"patch","arguments":"{\"input\":\"*** x\"}"}}]}
            """),
    ];

    [Fact]
    public async Task Post_Stream_SendsTheTypedAndNumberedEventsOfAResponse()
    {
        var events = Events(await PostAsync(Streamed, Frames.Answer("Once", " \"upon\"")));

        Assert.Equal(
            [
                "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added", "response.output_text.delta",
                "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
            ],
            events.Select(data => data.GetProperty("type").GetString()));
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(data => data.GetProperty("sequence_number").GetInt32()));
        Assert.Equal(
            $$$"""{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_{{{Id}}}_0","output_index":0,"content_index":0,"delta":" \"upon\"","logprobs":[]}""",
            events[5].GetRawText());
        Assert.All(events[..2], data => Assert.Equal("[]", data.GetProperty("response").GetProperty("output").GetRawText()));
        Assert.Equal("in_progress", events[0].GetProperty("response").GetProperty("status").GetString());
        Assert.Equal("completed", events[^1].GetProperty("response").GetProperty("status").GetString());
    }

    [Fact]
    public async Task Post_Whole_IsOneResponse()
    {
        var finish = Frames.Finish(2);
        finish.Finish.Usage.CachedPromptTokens = 1;
        finish.Finish.Usage.Raw = Google.Protobuf.ByteString.CopyFromUtf8("""{"completion_tokens_details":{"reasoning_tokens":1}}""");

        var text = await PostAsync(
            Whole.Replace("\"hi\"", """ "hi", "metadata": {"a": "b"}, "temperature": 0.5 """, StringComparison.Ordinal),
            Frames.Start(), Frames.Token(0, "Once"), Frames.Token(1, " upon"), finish);

        Assert.Equal(
            $$$"""
            {"id":"resp_{{{Id}}}","object":"response","created_at":946684800,"status":"completed","error":null,"incomplete_details":null,"model":"tiny",
            "output":[{"id":"msg_{{{Id}}}_0","type":"message","status":"completed","role":"assistant",
            "content":[{"type":"output_text","annotations":[],"text":"Once upon","logprobs":[]}]}],
            "usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":5},
            "background":false,"store":false,"previous_response_id":null,"truncation":"disabled","instructions":null,"metadata":{"a": "b"},
            "parallel_tool_calls":true,"reasoning":{"effort":null,"summary":null},"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],
            "max_output_tokens":null,"temperature":0.5,"top_p":null}
            """.ReplaceLineEndings(""),
            text);
    }

    [Fact]
    public async Task Post_ReasoningTextAndCalls_AreItemsUnderTheClientsNames()
    {
        var events = Events(await PostAsync(Tools, Calls));

        var done = events.Where(data => data.GetProperty("type").GetString() == "response.output_item.done").Select(data => data.GetProperty("item").GetRawText());
        Assert.Equal(
            [
                $$"""{"id":"rs_{{Id}}_0","type":"reasoning","status":"completed","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]}""",
                $$"""
                {"id":"msg_{{Id}}_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"I look.","logprobs":[]}]}
                """,
                $$"""
                {"id":"fc_{{Id}}_2","type":"function_call","status":"completed","call_id":"c1","name":"read","namespace":"files","arguments":"{\"a\":1}"}
                """,
                $$"""{"id":"ctc_{{Id}}_3","type":"custom_tool_call","status":"completed","call_id":"c2","name":"patch","input":"*** x"}""",
            ],
            done);
        Assert.Equal(
            [
                "response.reasoning_text.delta hm", "response.output_text.delta I look.", """response.function_call_arguments.delta {"a":1}""",
                "response.custom_tool_call_input.delta *** x",
            ],
            events.Where(data => data.TryGetProperty("delta", out _)).Select(data => $"{data.GetProperty("type").GetString()} {data.GetProperty("delta").GetString()}"));
        Assert.Equal(done, events[^1].GetProperty("response").GetProperty("output").EnumerateArray().Select(item => item.GetRawText()));
    }

    [Fact]
    public async Task Post_Logprobs_AreWithTheirText()
    {
        var text = await PostAsync(
            Streamed.Replace("\"hi\"", """ "hi", "include": ["message.output_text.logprobs"], "top_logprobs": 1 """, StringComparison.Ordinal),
            Frames.Start(), Frames.Scored(0, "a", -0.5f, "b", -1), Frames.Finish(1));

        Assert.Contains(
            """
            "delta":"a","logprobs":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1,"bytes":[98]}]}]
            """.Trim(),
            text,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(FinishReason.Length, "max_output_tokens")]
    [InlineData(FinishReason.ContentFilter, "content_filter")]
    public async Task Post_AnswerThatWasCut_IsIncomplete(FinishReason reason, string expected)
    {
        var events = Events(await PostAsync(Streamed, Frames.Start(), Frames.Token(0, "a"), Frames.Finish(1, reason: reason)));

        var response = events[^1].GetProperty("response");
        Assert.Equal("response.incomplete", events[^1].GetProperty("type").GetString());
        Assert.Equal(("incomplete", expected),
            (response.GetProperty("status").GetString(), response.GetProperty("incomplete_details").GetProperty("reason").GetString()));
        Assert.Equal("incomplete", response.GetProperty("output")[0].GetProperty("status").GetString());
    }

    [Fact]
    public async Task Post_StreamLost_EndsWithAFailedResponseAndNoEndOfTheHttpResponse()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "a"));
            session.Fail(Fault.StreamLost, "two replicas lost");
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, Path, Streamed);

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.False(isTerminated);
        var last = Events(string.Concat(chunks))[^1];
        Assert.Equal("response.failed", last.GetProperty("type").GetString());
        Assert.Equal("""{"code":"stream_lost","message":"two replicas lost"}""", last.GetProperty("response").GetProperty("error").GetRawText());
        Assert.Equal("incomplete", last.GetProperty("response").GetProperty("output")[0].GetProperty("status").GetString());
    }

    [Fact]
    public async Task Post_NothingToSend_RepeatsThatItIsInProgress()
    {
        var time = new FakeTimeProvider();
        await using var gateway = await TestGateway.StartAsync(session => session.Push(Frames.Start()), time: time);
        using var http = await RawHttp.PostAsync(gateway.Http1, Path, Streamed);
        var session = await gateway.Sessions.StartedAsync();

        await session.WaitsAsync();
        time.Advance(TimeSpan.FromSeconds(15));
        await http.ReadUntilAsync("event: response.in_progress");
        await session.WaitsAsync();
        time.Advance(TimeSpan.FromSeconds(15));
        var again = await http.ReadUntilAsync("\"sequence_number\":2,");

        Assert.Contains("event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"sequence_number\":2,", again, StringComparison.Ordinal);
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

        Assert.Contains(
            "\n\n: skein failovers=1 attempts=1 [token 1: replica-2 lost (stall)]\nevent: response.completed\n",
            await gateway.Client.PostTextAsync(Path, Streamed),
            StringComparison.Ordinal);
    }

    /// <summary>As Vercel's AI SDK does.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_ItemsOfAnEarlierAnswer_MayBeReferredTo(bool stream)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Calls);
            session.End();
        });
        var body = stream ? Tools : Tools.Replace("\"stream\": true", "\"stream\": false", StringComparison.Ordinal);
        await gateway.Client.PostTextAsync(Path, body);
        await gateway.Sessions.StartedAsync();

        await gateway.Client.PostTextAsync(Path, $$"""
            {"model": "tiny", "input": [{"role": "user", "content": "hi"}, {"type": "item_reference", "id": "msg_{{Id}}_1"},
            {"type": "item_reference", "id": "fc_{{Id}}_2"}, {"type": "function_call_output", "call_id": "c1", "output": "3"}]}
            """);

        Assert.Equal(
            """
            [{"role":"user","content":"hi"},{"role":"assistant","content":"I look.","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"files__read","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"3"}]
            """.ReplaceLineEndings(""),
            (await gateway.Sessions.StartedAsync()).Request.Chat.Messages.ToStringUtf8());
    }

    [Theory]
    [InlineData("\"store\": false,", 1L << 20)]
    [InlineData("", 0L)]
    public async Task Post_ItemsThatAreNotKept_AreRefusedByName(string member, long keptBytes)
    {
        await using var gateway = await TestGateway.StartAsync(
            session =>
            {
                session.Push(Frames.Answer("a"));
                session.End();
            },
            new ApiOptions { KeptItemBytes = keptBytes });
        await gateway.Client.PostTextAsync(Path, $$"""{ {{member}} "input": "hi"}""");

        var refusal = await gateway.Client.PostTextAsync(Path, $$"""{"input": [{"type": "item_reference", "id": "msg_{{Id}}_0"}]}""");

        Assert.Contains("\"param\":\"input[0].id\"", refusal, StringComparison.Ordinal);
    }

    /// <summary>A follow-up that a load balancer sends to another gateway than the answer came from.</summary>
    [Fact]
    public async Task Post_ItemThatAnotherGatewayKeeps_TellsWhatToDo()
    {
        await using var first = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a"));
            session.End();
        });
        await using var second = await TestGateway.StartAsync();
        var answer = JsonElement.Parse(await first.Client.PostTextAsync(Path, """{"input": "hi"}"""));
        var item = answer.GetProperty("output")[0].GetProperty("id").GetString();

        using var response = await second.Client.PostAsync(Path, Requests.Json($$"""{"input": [{"type": "item_reference", "id": "{{item}}"}]}"""));

        Assert.Equal(400, (int)response.StatusCode);
        var error = JsonElement.Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
        Assert.Equal("input[0].id", error.GetProperty("param").GetString());
        Assert.Contains("each gateway keeps only its own; send the item itself", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Contains("to the same gateway", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_Refused_HasItsStatusAndOpenAisForm()
    {
        await using var gateway = await TestGateway.StartAsync();

        using var response = await gateway.Client.PostAsync(Path, Requests.Json("""{"input": "hi", "previous_response_id": "resp_1"}"""));

        Assert.Equal(400, (int)response.StatusCode);
        Assert.Contains("\"param\":\"previous_response_id\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static List<JsonElement> Events(string text) =>
    [
        .. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(block =>
        {
            var lines = block.Split('\n');
            var data = JsonElement.Parse(lines.Single(line => line.StartsWith("data: ", StringComparison.Ordinal))["data: ".Length..]);
            Assert.Contains($"event: {data.GetProperty("type").GetString()}", lines);
            return data;
        }),
    ];

    private static async Task<string> PostAsync(string body, params GenerateFrame[] frames)
    {
        await using var gateway = await TestGateway.StartAsync(
            session =>
            {
                session.Push(frames);
                session.End();
            },
            time: new FakeTimeProvider());
        return await gateway.Client.PostTextAsync(Path, body);
    }
}
