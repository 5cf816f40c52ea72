using Google.Protobuf;
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
            + """[{"index":0,"message":{"role":"assistant","content":"Hello \"é\"","refusal":null},"logprobs":null,"finish_reason":"stop"},"""
            + """{"index":1,"message":{"role":"assistant","content":"Bye","refusal":null},"logprobs":null,"finish_reason":"length"}]"""
            + ""","usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}""",
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
            + """[{"index":0,"text":"éb","logprobs":{"tokens":["é","b"],"token_logprobs":[-0.5,-0.25],"top_logprobs":[{"e":-1,"é":-0.5},{"c":-2,"b":-0.25}],"text_offset":[0,1]},"finish_reason":"stop"}]"""
            + ""","usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}""",
            answer);
    }

    /// <summary>As OpenAI has them: the token itself is always there, and tokens that are parts of a character differ.</summary>
    [Fact]
    public async Task Post_CompletionWithLogprobs0_HasEachTokenItself()
    {
        var (first, second) = (Frames.Token(0, ByteString.CopyFrom(0xC3)), Frames.Token(1, ByteString.CopyFrom(0xA9)));
        first.Logprobs.Add(new TokenLogprob { Token = ByteString.CopyFrom(0xC3), Logprob = -0.5f });
        second.Logprobs.Add(new TokenLogprob
        {
            Token = ByteString.CopyFrom(0xA9),
            Logprob = -1,
            Top = { new TokenLogprob { Token = ByteString.CopyFrom(0xA9), Logprob = -1 }, new TokenLogprob { Token = ByteString.CopyFrom(0xA8), Logprob = -2 } },
        });

        var answer = await PostAsync(Requests.CompletionPath, """{"prompt": "x", "logprobs": 0}""", Frames.Start(), first, second, Frames.Finish(2));

        Assert.Contains(
            """
            "logprobs":{"tokens":["bytes:\\xc3","bytes:\\xa9"],"token_logprobs":[-0.5,-1],
            "top_logprobs":[{"bytes:\\xc3":-0.5},{"bytes:\\xa9":-1,"bytes:\\xa8":-2}],"text_offset":[0,1]}
            """.ReplaceLineEndings(""),
            answer,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_ServerWithoutTopLogprobs_GetsNoneInvented()
    {
        var token = Frames.Token(0, "a");
        token.Logprobs.Add(new TokenLogprob { Token = ByteString.CopyFromUtf8("a"), Logprob = -0.5f, RawLogprob = ByteString.CopyFromUtf8("-0.50") });

        var answer = await PostAsync(Requests.CompletionPath, """{"prompt": "x", "logprobs": 0}""", Frames.Start(), token, Frames.Finish(1));

        Assert.Contains("\"token_logprobs\":[-0.50],\"top_logprobs\":[null]", answer, StringComparison.Ordinal);
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
            "message":{"role":"assistant","content":null,"refusal":null,"reasoning_content":"I see","tool_calls":[
            {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
            {"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"
            """.ReplaceLineEndings(""),
            answer,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_EngineThatDoesNotCount_HasNoUsage()
    {
        var finish = Frames.Finish(1);
        finish.Finish.Usage = null;

        var answer = await PostAsync(Requests.ChatPath, Requests.WholeChat, Frames.Start(), Frames.Token(0, "a"), finish);

        Assert.EndsWith("\"finish_reason\":\"stop\"}]}", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_MembersOfTheEngine_ArePassedOnAndNothingIsInvented()
    {
        var start = Frames.Start();
        start.Start.SystemFingerprint = "";
        var first = Frames.Token(0, "a");
        first.RawChoice = ByteString.CopyFromUtf8("""{"token_ids":[1],"content_filter_results":{"hate":{"filtered":false}}}""");
        first.RawChunk = ByteString.CopyFromUtf8("""{"service_tier":"default","system_fingerprint":"b1","citations":["é"]}""");
        var second = Frames.Token(1, "b");
        second.RawChoice = ByteString.CopyFromUtf8("""{"token_ids":[2]}""");
        second.RawChunk = ByteString.CopyFromUtf8("""{"service_tier":"default"}""");
        var finish = Frames.Finish(2);
        finish.RawChoice = ByteString.CopyFromUtf8("""{"stop_reason":7,"token_ids":[3]}""");
        finish.RawChunk = ByteString.CopyFromUtf8("""{"timings":{"cache_n":1.50}}""");
        finish.Finish.Usage.Raw = ByteString.CopyFromUtf8("""{"completion_tokens":2,"prompt_tokens":3,"total_tokens":5,"reasoning_tokens":0}""");

        var answer = await PostAsync(
            Requests.ChatPath, Requests.WholeChat.Replace("{\"model\"", "{\"logprobs\": true, \"model\"", StringComparison.Ordinal), start, first, second, finish);

        Assert.EndsWith(
            """
            "choices":[{"index":0,"message":{"role":"assistant","content":"ab","refusal":null},"logprobs":null,"finish_reason":"stop",
            "token_ids":[1,2,3],"content_filter_results":{"hate":{"filtered":false}},"stop_reason":7}],
            "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"reasoning_tokens":0},
            "service_tier":"default","system_fingerprint":"b1","citations":["é"],"timings":{"cache_n":1.50}}
            """.ReplaceLineEndings(""),
            answer,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_LogprobsAsTheEngineSentThem_ArePassedOn()
    {
        var frame = Frames.Scored(0, "a", -0.5f, "b", -1);
        frame.Logprobs[0].Raw = ByteString.CopyFromUtf8("""{"id":9,"token":"a","logprob":-0.50000001,"top_logprobs":[]}""");

        var answer = await PostAsync(
            Requests.ChatPath,
            Requests.WholeChat.Replace("{\"model\"", "{\"logprobs\": true, \"model\"", StringComparison.Ordinal),
            Frames.Start(), frame, Frames.Finish(1));

        Assert.Contains(
            """
            "logprobs":{"content":[{"id":9,"token":"a","logprob":-0.50000001,"top_logprobs":[]}]},"finish_reason"
            """.Trim(),
            answer,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_LogprobsOfPromptAndAnswer_ArePassedOn()
    {
        var frame = Frames.Token(0, "Once. The ");
        frame.RawLogprobs = ByteString.CopyFromUtf8("""{"tokens":["Once",". The "],"token_logprobs":[null,-11.657204627990723]}""");

        var answer = await PostAsync(Requests.CompletionPath, """{"prompt": "Once", "echo": true, "logprobs": 1}""", Frames.Start(), frame, Frames.Finish(1));

        Assert.Contains(
            """
            "text":"Once. The ","logprobs":{"tokens":["Once",". The "],"token_logprobs":[null,-11.657204627990723]},"finish_reason":"stop"
            """.Trim(),
            answer,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, ",\"prompt_tokens_details\":{\"cached_tokens\":0}}")]
    [InlineData(false, "}")]
    public async Task Post_CachedTokens_AreToldOnlyIfTheEngineSaysThem(bool isSaid, string end)
    {
        var finish = Frames.Finish(1);
        if (isSaid)
            finish.Finish.Usage.CachedPromptTokens = 0;

        var answer = await PostAsync(Requests.ChatPath, Requests.WholeChat, Frames.Start(), Frames.Token(0, "a"), finish);

        Assert.EndsWith("\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1,\"total_tokens\":4" + end + "}", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_SeveralChoices_AddTheDetailsOfTheirCompletions()
    {
        var (first, second) = (Frames.Finish(1), Frames.Finish(2, 1));
        first.Finish.Usage.Raw = ByteString.CopyFromUtf8("""{"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":1}}""");
        second.Finish.Usage.Raw = ByteString.CopyFromUtf8("""{"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":2}}""");

        var answer = await PostAsync(
            Requests.ChatPath,
            Requests.WholeChat.Replace("{\"model\"", "{\"n\": 2, \"model\"", StringComparison.Ordinal),
            Frames.Start(), Frames.Start(1), first, second);

        Assert.EndsWith(
            """
            "total_tokens":6,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":3}}}
            """.Trim(),
            answer,
            StringComparison.Ordinal);
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
