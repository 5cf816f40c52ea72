using System.Net;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.OpenAi;

public sealed class StreamedAnswerTests
{
    private const string ChatHead =
        """data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":946684800,"model":"tiny","system_fingerprint":"fp-1","choices":[""";

    private const string CompletionHead =
        """data: {"id":"cmpl-0123456789abcdef0123456789abcdef","object":"text_completion","created":946684800,"model":"tiny","system_fingerprint":"fp-1","choices":[""";

    private readonly FakeTimeProvider _time = new();

    private Task<TestGateway> StartAsync(Action<ScriptedSession>? script = null) => TestGateway.StartAsync(script, time: _time);

    [Fact]
    public async Task Post_StreamedChat_SendsRoleDeltasFinishUsageDone()
    {
        await using var gateway = await StartAsync(session => Finish(session, Frames.Answer("Once", " \"upon\"\n", "é")));

        var text = await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat.Replace("true", """true, "stream_options": {"include_usage": true}""", StringComparison.Ordinal));

        Assert.Equal(
            """
            HEAD{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}

            HEAD{"index":0,"delta":{"content":"Once"},"logprobs":null,"finish_reason":null}],"usage":null}

            HEAD{"index":0,"delta":{"content":" \"upon\"\n"},"logprobs":null,"finish_reason":null}],"usage":null}

            HEAD{"index":0,"delta":{"content":"é"},"logprobs":null,"finish_reason":null}],"usage":null}

            HEAD{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

            HEAD],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6}}

            data: [DONE]


            """.Replace("HEAD", ChatHead, StringComparison.Ordinal),
            text);
    }

    [Fact]
    public async Task Post_StreamedCompletion_SendsTextAndFinish()
    {
        await using var gateway = await StartAsync(session => Finish(session, Frames.Start(), Frames.Token(0, "a"), Frames.Finish(1, reason: FinishReason.Length)));

        var text = await gateway.Client.PostTextAsync(Requests.CompletionPath, """{"prompt": "x", "stream": true}""");

        Assert.Equal(
            """
            HEAD{"index":0,"text":"a","logprobs":null,"finish_reason":null}]}

            HEAD{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]}

            data: [DONE]


            """.Replace("HEAD", CompletionHead, StringComparison.Ordinal),
            text);
    }

    [Fact]
    public async Task Post_TwoChoices_OpensEachWithItsRole()
    {
        await using var gateway = await StartAsync(session => Finish(
            session,
            Frames.Start(), Frames.Start(1), Frames.Token(0, "a", 1), Frames.Token(0, "b"), Frames.Finish(1, 1), Frames.Finish(1)));

        var text = await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat.Replace("true", "true, \"n\": 2", StringComparison.Ordinal));

        Assert.Equal(
            ["1 role", "1 a", "0 role", "0 b", "1 stop", "0 stop"],
            text.Split("\n\n").Where(line => line.Contains("index", StringComparison.Ordinal)).Select(line => $"{Between(line, "\"index\":", ",")} {What(line)}"));
    }

    [Fact]
    public async Task Post_TextHeldBack_SendsNothingForIt()
    {
        await using var gateway = await StartAsync(session => Finish(
            session,
            Frames.Start(), Frames.Token(0, ByteString.Empty), Frames.Token(1, "ab"), Frames.Token(2, ByteString.Empty), Frames.Finish(3)));

        var text = await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat);

        Assert.Equal(["role", "ab", "stop", "done"], text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(What));
    }

    [Fact]
    public async Task Post_MembersOfTheEngine_GoWithTheirChunk()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            var start = Frames.Start();
            start.Start.SystemFingerprint = "";
            var progress = new GenerateFrame { Attempt = 1, RawChunk = ByteString.CopyFromUtf8("""{"prompt_progress":{"total":8},"system_fingerprint":"b1"}""") };
            var token = Frames.Token(0, "a");
            token.RawChoice = ByteString.CopyFromUtf8("{\"token_ids\":\n[1]}");
            var finish = Frames.Finish(1);
            finish.RawChoice = ByteString.CopyFromUtf8("""{"stop_reason":7}""");
            finish.RawChunk = ByteString.CopyFromUtf8("""{"timings":{"cache_n":1}}""");
            session.Push(start, progress, token, finish);
            session.End();
        });

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.StreamedChat));
        var text = await response.Content.ReadAsStringAsync();

        var chunks = text.Split("\n\n").Select(chunk => chunk[(chunk.IndexOf("\"choices\":", StringComparison.Ordinal) + 1)..]).ToList();
        Assert.EndsWith("""
            "delta":{"content":""},"logprobs":null,"finish_reason":null}],"system_fingerprint":"b1","prompt_progress":{"total":8}}
            """.Trim(), chunks[1], StringComparison.Ordinal);
        Assert.EndsWith("""
            "delta":{"content":"a"},"logprobs":null,"finish_reason":null,"token_ids": [1]}],"system_fingerprint":"b1"}
            """.Trim(), chunks[2], StringComparison.Ordinal);
        Assert.EndsWith("""
            "delta":{},"logprobs":null,"finish_reason":"stop","stop_reason":7}],"system_fingerprint":"b1","timings":{"cache_n":1}}
            """.Trim(), chunks[3], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_RawDelta_IsMergedVerbatim()
    {
        await using var gateway = await StartAsync(session => Finish(
            session,
            Frames.Start(), Frames.Delta(0, """ { "tool_calls" : [1.0] } """), Frames.Finish(1, reason: FinishReason.ToolCalls)));

        var text = await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat);

        Assert.Contains("""{"index":0,"delta":{"tool_calls" : [1.0]},"logprobs":null,"finish_reason":null}""", text, StringComparison.Ordinal);
        Assert.Contains("""{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}""", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_LogprobsOfAChat_GoWithTheirTokens()
    {
        await using var gateway = await StartAsync(session => Finish(
            session, Frames.Start(), Frames.Scored(0, "é", -0.5f, "e", float.NegativeInfinity), Frames.Finish(1)));

        var text = await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat.Replace("true", """true, "logprobs": true, "top_logprobs": 1""", StringComparison.Ordinal));

        Assert.Contains(
            ""","logprobs":{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"e","logprob":-9999,"bytes":[101]}]}],"refusal":null},"finish_reason":null""",
            text,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_LogprobsOfACompletion_CountCharacters()
    {
        await using var gateway = await StartAsync(session => Finish(
            session, Frames.Start(), Frames.Scored(0, "é", -0.5f, "e", -1), Frames.Scored(1, "b", -0.25f, "c", -2), Frames.Finish(2)));

        var text = await gateway.Client.PostTextAsync(Requests.CompletionPath, """{"prompt": "x", "stream": true, "logprobs": 1}""");

        Assert.Contains(""","logprobs":{"tokens":["é"],"token_logprobs":[-0.5],"top_logprobs":[{"e":-1,"é":-0.5}],"text_offset":[0]}""", text, StringComparison.Ordinal);
        Assert.Contains(""","logprobs":{"tokens":["b"],"token_logprobs":[-0.25],"top_logprobs":[{"c":-2,"b":-0.25}],"text_offset":[1]}""", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_Stream_HeadersTellReplicaAttemptsAndTier()
    {
        await using var gateway = await StartAsync(session =>
        {
            session.Attempts = 2;
            session.Replica = "replica-2";
            Finish(session, Frames.Answer("a"));
        });

        using var request = new HttpRequestMessage(HttpMethod.Post, Requests.ChatPath) { Content = Requests.Json(Requests.StreamedChat), Headers = { { "x-request-id", "mine-1" } } };
        using var response = await gateway.Client.SendAsync(request);

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType?.ToString());
        Assert.Equal("mine-1", response.Headers.GetValues(SkeinHeaders.RequestId).Single());
        Assert.Equal("replica-2", response.Headers.GetValues(SkeinHeaders.Replica).Single());
        Assert.Equal("2", response.Headers.GetValues(SkeinHeaders.Attempts).Single());
        Assert.Equal("exact", response.Headers.GetValues(SkeinHeaders.ResumeTier).Single());
        Assert.Equal("mine-1", (await gateway.Sessions.StartedAsync()).Request.RequestId);
    }

    [Fact]
    public async Task Post_AfterFailovers_TellsThemInACommentBeforeDone()
    {
        await using var gateway = await StartAsync(session =>
        {
            session.Attempts = 5;
            session.Failovers = [new(0, 17, "replica-2", "link"), new(0, 21, "evil\n\ndata: x", "stall"), new(0, 30, "replica-3", "draining"), new(0, 31, "replica-4", "straggler")];
            Finish(session, Frames.Answer("a"));
        });

        var text = await gateway.Client.PostTextAsync(Requests.ChatPath, Requests.StreamedChat);

        Assert.EndsWith(
            "\n\n: skein failovers=4 attempts=5 [token 17: replica-2 lost (link); token 21: evil??data:?x lost (stall); "
            + "token 30: replica-3 moved (draining); token 31: replica-4 moved (straggler)]\ndata: [DONE]\n\n",
            text,
            StringComparison.Ordinal);
        EventBlocks.AssertAllHaveData(text);
    }

    [Theory]
    [InlineData("{\n\"reasoning\":\r\n\"a\\nb\",\r\"x\":\n1}", "\"reasoning\":  \"a\\nb\", \"x\": 1")]
    [InlineData("{\"reasoning\":\n\r\n[1,\n2]}", "\"reasoning\":   [1, 2]")]
    public async Task Post_EngineSendsItsDeltaInSeveralLines_MakesNoEventsOfThem(string delta, string onOneLine)
    {
        await using var gateway = await StartAsync(session => Finish(session, Frames.Start(), Frames.Delta(0, delta), Frames.Finish(1)));
        foreach (var (path, body) in new[] { (Requests.ChatPath, Requests.StreamedChat), (Requests.CompletionPath, """{"prompt": "x", "stream": true}""") })
        {
            var text = await gateway.Client.PostTextAsync(path, body);

            Assert.Contains(onOneLine, text, StringComparison.Ordinal);
            Assert.All(text.TrimEnd('\n').Split("\n\n"), line => Assert.Matches("^data: [^\r\n]*$", line));
            Assert.Equal(1, text.Split('\n').Count(line => line == "data: [DONE]"));
        }
    }

    [Fact]
    public async Task Post_FramesAlreadyThere_GoOutInOneFlush()
    {
        await using var gateway = await StartAsync(session => Finish(session, Frames.Answer("a", "b", "c", "d")));
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);

        var response = await http.ReadUntilAsync("0\r\n\r\n");

        var (chunks, isTerminated) = RawHttp.Dechunk(response);
        Assert.True(isTerminated);
        Assert.Equal(2, chunks.Count);
        Assert.Equal("data: [DONE]\n\n", chunks[1]);
    }

    /// <summary>The text of an event, or a word for the kind of an event without text.</summary>
    private static string What(string line) => line.Contains("role", StringComparison.Ordinal) ? "role"
        : line.Contains("stop", StringComparison.Ordinal) ? "stop"
        : line.Contains("DONE", StringComparison.Ordinal) ? "done"
        : Between(line, "\"content\":\"", "\"");

    private static string Between(string text, string before, string after) =>
        text.Split(before, 2)[1].Split(after, 2)[0];

    private static void Finish(ScriptedSession session, params GenerateFrame[] frames)
    {
        session.Push(frames);
        session.End();
    }
}
