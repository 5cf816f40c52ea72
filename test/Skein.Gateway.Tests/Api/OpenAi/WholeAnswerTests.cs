using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Api.OpenAi;

public sealed class WholeAnswerTests
{
    private const string Ids = """{"id":"ID","object":"OBJECT","created":946684800,"model":"tiny","system_fingerprint":"fp-1","choices":""";

    [Fact]
    public async Task Post_Chat_PutsChoicesTogether()
    {
        var answer = await PostAsync(
            Requests.ChatPath,
            Requests.WholeChat.Replace("{\"model\"", "{\"n\": 2, \"model\"", StringComparison.Ordinal),
            Frames.Start(), Frames.Start(1), Frames.Token(0, "Hel"), Frames.Token(0, "Bye", 1), Frames.Token(1, "lo \"é\""), Frames.Finish(2), Frames.Finish(1, 1, FinishReason.Length));

        Assert.Equal(
            Ids.Replace("ID", "chatcmpl-0123456789abcdef0123456789abcdef", StringComparison.Ordinal).Replace("OBJECT", "chat.completion", StringComparison.Ordinal)
            + """[{"index":0,"message":{"role":"assistant","content":"Hello \"é\""},"logprobs":null,"finish_reason":"stop"},"""
            + """{"index":1,"message":{"role":"assistant","content":"Bye"},"logprobs":null,"finish_reason":"length"}]"""
            + ""","usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":0}}}""",
            answer);
    }

    [Fact]
    public async Task Post_Completion_CarriesTextAndLogprobs()
    {
        var answer = await PostAsync(
            Requests.CompletionPath,
            """{"prompt": "x", "logprobs": 1}""",
            Frames.Start(), Frames.Scored(0, "é", -0.5f, "e", -1), Frames.Scored(1, "b", -0.25f, "c", -2), Frames.Finish(2));

        Assert.Equal(
            Ids.Replace("ID", "cmpl-0123456789abcdef0123456789abcdef", StringComparison.Ordinal).Replace("OBJECT", "text_completion", StringComparison.Ordinal)
            + """[{"index":0,"text":"éb","logprobs":{"tokens":["é","b"],"token_logprobs":[-0.5,-0.25],"top_logprobs":[{"e":-1},{"c":-2}],"text_offset":[0,1]},"finish_reason":"stop"}]"""
            + ""","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0}}}""",
            answer);
    }

    [Fact]
    public async Task Post_ToolCallsInDeltas_AreMergedIntoTheMessage()
    {
        var answer = await PostAsync(
            Requests.ChatPath,
            Requests.WholeChat,
            Frames.Start(),
            Frames.Delta(0, """{"reasoning_content":"I ","role":"assistant"}"""),
            Frames.Delta(1, """{"reasoning_content":"see"}"""),
            Frames.Delta(2, """{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\""}}]}"""),
            Frames.Delta(3, """{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]}"""),
            Frames.Delta(4, """{"tool_calls":[{"index":0,"type":"function","function":{"arguments":":1}"}}]}"""),
            Frames.Finish(5, reason: FinishReason.ToolCalls));

        Assert.Contains(
            """
            "message":{"role":"assistant","content":null,"reasoning_content":"I see","tool_calls":[
            {"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":"{\u0022a\u0022:1}"}},
            {"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"
            """.ReplaceLineEndings(""),
            answer,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_EngineThatDoesNotCount_SaysUsageIsUnknown()
    {
        var finish = Frames.Finish(1);
        finish.Finish.Usage = null;

        Assert.EndsWith("\"usage\":null}", await PostAsync(Requests.ChatPath, Requests.WholeChat, Frames.Start(), Frames.Token(0, "a"), finish), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_FinishReasonOfTheEnginesOwn_IsWrittenAsSent()
    {
        var finish = Frames.Finish(1);
        finish.Finish.RawReason = "repet\"ition";

        var answer = await PostAsync(Requests.ChatPath, Requests.WholeChat, Frames.Start(), Frames.Token(0, "a"), finish);

        Assert.Contains("""
            "finish_reason":"repet\"ition"
            """.Trim(), answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_Whole_HeadersTellTheEndOfTheSession()
    {
        await using var gateway = await TestGateway.StartAsync();
        var answering = gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.WholeChat));
        var session = await gateway.Sessions.StartedAsync();
        session.Push(Frames.Start(), Frames.Token(0, "a"));
        await session.WaitsAsync();
        session.Attempts = 2;
        session.Replica = "replica-2";
        session.Push(Frames.Finish(1));
        session.End();

        using var response = await answering;

        Assert.Equal("2", response.Headers.GetValues(SkeinHeaders.Attempts).Single());
        Assert.Equal("replica-2", response.Headers.GetValues(SkeinHeaders.Replica).Single());
    }

    private static async Task<string> PostAsync(string path, string body, params GenerateFrame[] frames)
    {
        await using var gateway = await TestGateway.StartAsync(
            session =>
            {
                session.Push(frames);
                session.End();
            },
            time: new FakeTimeProvider());
        return await gateway.Client.PostTextAsync(path, body);
    }
}
