using System.Text.Json;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>What a server says passes through, and nothing is invented.</summary>
public sealed class AnswerMemberTests
{
    private const string WithUsage = "\"stream\":true,\"stream_options\":{\"include_usage\":true}";

    public static TheoryData<string, string> MembersOfChunks { get; } = new()
    {
        { "citations", """["https://a.test","https://b.test"]""" },
        { "timings", """{"cache_n":19,"predicted_per_second":12.50}""" },
        { "service_tier", "\"flex\"" },
        { "system_fingerprint", "\"fp_1\"" },
        { "prompt_token_ids", "[1,2,3]" },
        { "prompt_progress", """{"total":10,"processed":5}""" },
        { "x_unknown", """{"a":[1.0,2e3,"é"]}""" },
    };

    public static TheoryData<string, string> MembersOfChoices { get; } = new()
    {
        { "token_ids", "[5,6]" },
        { "stop_reason", "\"</s>\"" },
        { "matched_stop", "752" },
        { "content_filter_results", """{"hate":{"filtered":false}}""" },
        { "prompt_logprobs", "[null]" },
        { "native_finish_reason", "\"end\"" },
        { "x_unknown", """{"a":1.50}""" },
    };

    [Theory]
    [MemberData(nameof(MembersOfChunks))]
    public async Task MemberOfAChunk_PassesThrough(string name, string json)
    {
        var reply = await AskAsync(Events.Chunk("""{"index":0,"delta":{"content":"a "},"finish_reason":null}""", members: $",\"{name}\":{json}"));

        Expect.That(reply, reply.Chunks.Any(chunk => Reply.Find(chunk, name)?.GetRawText() == json), $"a chunk has {name} as the server sent it");
    }

    [Theory]
    [MemberData(nameof(MembersOfChoices))]
    public async Task MemberOfAChoice_PassesThrough(string name, string json)
    {
        var reply = await AskAsync(Events.Chunk($$"""{"index":0,"delta":{"content":"a "},"finish_reason":null,"{{name}}":{{json}}}"""));

        Expect.That(reply, reply.Choices.Any(choice => Reply.Find(choice, name)?.GetRawText() == json), $"a choice has {name} as the server sent it");
    }

    [Theory]
    [InlineData("reasoning_content", "\"hm\"")]
    [InlineData("reasoning", "\"hm\"")]
    [InlineData("refusal", "\"no\"")]
    [InlineData("audio", """{"id":"a","data":"AAAA"}""")]
    [InlineData("x_unknown", """{"a":1.50}""")]
    public async Task MemberOfADelta_PassesThrough(string name, string json)
    {
        var reply = await AskAsync(Events.Delta($$"""{"content":"a ","{{name}}":{{json}}}"""));

        Expect.That(reply, reply.Deltas.Any(delta => Reply.Find(delta, name)?.GetRawText() == json), $"a delta has {name} as the server sent it");
    }

    /// <summary>Members beside the finish reason, where vLLM says which stop string it was.</summary>
    [Fact]
    public async Task MemberBesideTheFinish_PassesThrough()
    {
        var reply = await AskAsync(Events.Text(true, "a "), finish: """{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"END","token_ids":[2]}""");

        var last = reply.Choices.Last(choice => Reply.Find(choice, "finish_reason")?.ValueKind == JsonValueKind.String);
        Expect.That(reply, Reply.Find(last, "stop_reason")?.ToString() == "END", "the last choice has stop_reason");
        Expect.That(reply, Reply.Find(last, "token_ids")?.GetRawText() == "[2]", "the last choice has token_ids");
    }

    /// <summary>The same members in a whole answer.</summary>
    [Fact]
    public async Task MembersOfAWholeAnswer_PassThrough()
    {
        var reply = await AskAsync(
            Events.Chunk("""{"index":0,"delta":{"content":"a "},"finish_reason":null}""",
                members: ",\"citations\":[\"https://a.test\"],\"service_tier\":\"flex\""),
            request: "",
            finish: """{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"END"}""");

        Expect.That(reply, Reply.Find(reply.Json, "citations")?.GetRawText() == "[\"https://a.test\"]", "it has citations");
        Expect.That(reply, Reply.Find(reply.Json, "service_tier")?.ToString() == "flex", "it has service_tier");
        Expect.That(reply, Reply.Find(reply.Choices[0], "stop_reason")?.ToString() == "END", "its choice has stop_reason");
    }

    /// <summary>Usage details were dropped or invented.</summary>
    [Theory]
    [InlineData(WithUsage)]
    [InlineData("")]
    public async Task Usage_IsWhatTheServerSays(string request)
    {
        const string Usage =
            """{"prompt_tokens":11,"completion_tokens":9,"total_tokens":20,"prompt_tokens_details":{"cached_tokens":8,"audio_tokens":1},"completion_tokens_details":{"reasoning_tokens":4},"reasoning_tokens":4}""";
        var reply = await AskAsync(Events.Text(true, "a "), request: request, usage: Usage);

        Expect.That(reply, reply.Usage?.GetRawText() == Usage, "the usage is the server's, byte for byte");
    }

    [Theory]
    [InlineData(WithUsage)]
    [InlineData("")]
    public async Task UsageWithoutDetails_NoneAreInvented(string request)
    {
        var reply = await AskAsync(
            Events.Text(true, "a "), request: request, usage: """{"prompt_tokens":11,"completion_tokens":9,"total_tokens":20}""");

        Expect.That(reply, reply.Usage is { } usage && !usage.TryGetProperty("prompt_tokens_details", out _), "cached_tokens are not invented");
    }

    /// <summary>What the engine did not say is not there.</summary>
    [Theory]
    [InlineData("\"stream\":true,\"logprobs\":true")]
    [InlineData("\"logprobs\":true")]
    [InlineData("\"stream\":true")]
    public async Task MembersThatTheServerDoesNotSend_AreNotInvented(string request)
    {
        var reply = await AskAsync(Events.Text(true, "a "), request: request);

        Expect.That(reply, !reply.Objects.Any(chunk => Reply.Find(chunk, "system_fingerprint") is { ValueKind: JsonValueKind.String }),
            "no system_fingerprint is invented");
        Expect.That(
            reply,
            reply.Choices.All(choice => Reply.Find(choice, "logprobs") is not { ValueKind: JsonValueKind.Object }),
            "logprobs are null where the engine gave none");
    }

    /// <summary>Ids of tokens in log probabilities, as vLLM and llama.cpp send them.</summary>
    [Fact]
    public async Task LogprobsMembers_PassThrough()
    {
        const string Logprobs = """{"content":[{"id":17,"token":"a ","bytes":[97,32],"logprob":-0.25,"top_logprobs":[{"id":17,"token":"a ","bytes":[97,32],"logprob":-0.25}]}]}""";
        var reply = await AskAsync(
            Events.Chunk($$"""{"index":0,"delta":{"content":"a "},"finish_reason":null,"logprobs":{{Logprobs}}}"""),
                request: "\"stream\":true,\"logprobs\":true,\"top_logprobs\":1");

        Expect.That(reply, reply.Choices.Any(choice => Reply.Find(choice, "logprobs")?.GetRawText() == Logprobs),
            "the log probabilities are the server's, byte for byte");
    }

    /// <summary>Model metadata.</summary>
    [Fact]
    public async Task ModelMetadata_PassesThrough()
    {
        await using var server = new ScriptedServer();
        server.On("/v1/models", Answers.Json(
            """{"object":"list","data":[{"id":"story","object":"model","created":1700000000,"owned_by":"acme","root":"org/story","max_model_len":512,"meta":{"n_ctx":512,"n_vocab":2330},"aliases":["tale"]}]}"""));
        await using var gateway = await TestGateway.StartAsync(server);

        foreach (var path in (string[])["/v1/models", "/v1/models/story"])
        {
            var reply = await gateway.GetAsync(path);
            var model = path == "/v1/models" ? reply.Json.GetProperty("data")[0] : reply.Json;
            foreach (var (name, json) in (ReadOnlySpan<(string, string)>)[
                ("max_model_len", "512"), ("owned_by", "\"acme\""), ("root", "\"org/story\""), ("meta", "{\"n_ctx\":512,\"n_vocab\":2330}"),
                    ("aliases", "[\"tale\"]"), ("created", "1700000000")])
            {
                Expect.That(reply, Reply.Find(model, name)?.GetRawText() == json, $"{path} has {name} as the server says");
            }
        }
    }

    /// <summary>With echo and logprobs every likelihood was 0, and evaluation harnesses reported accuracy 1.0.</summary>
    [Theory]
    [InlineData("\"echo\":true,\"logprobs\":1,\"max_tokens\":1")]
    [InlineData("\"echo\":true,\"logprobs\":1,\"max_tokens\":0")]
    [InlineData("\"echo\":true,\"logprobs\":1,\"max_tokens\":1,\"stream\":true")]
    public async Task EchoWithLogprobs_IsTheServersOrRefused(string members)
    {
        const string Logprobs = """{"tokens":["Tell"," the"," story"," of"],"token_logprobs":[null,-2.5,-1.25,-0.5],"top_logprobs":null,"text_offset":[0,4,8,14]}""";
        await using var server = new ScriptedServer(exchange => exchange.Request.IsStreamed
            ? Answers.Stream(Events.Chunk($$"""{"index":0,"text":"Tell the story of","logprobs":{{Logprobs}},"finish_reason":"length"}""", isChat: false),
                "[DONE]")(exchange)
            : Answers.Json(
                $$$"""{"id":"x","object":"text_completion","created":1,"model":"story","choices":[{"index":0,"text":"Tell the story of","logprobs":{{{Logprobs}}},"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}""")(exchange));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), server);

        var reply = await gateway.CompleteAsync(members);

        if (reply.Status == 400)
        {
            Expect.Refusal(reply, 400, "echo");
            return;
        }
        Expect.Answer(reply, "Tell the story of", "length");
        Expect.That(reply, reply.Choices.Any(choice => Reply.Find(choice, "logprobs")?.GetRawText() == Logprobs), "the log probabilities are the server's");
        Assert.Equal("true", Reply.Find(server.Asked[0].Json, "echo")?.GetRawText());
    }

    /// <summary>Tool calls of whole answers have no index in OpenAI's.</summary>
    [Fact]
    public async Task WholeAnswerWithToolCalls_IsAsOpenAIs()
    {
        var reply = await AskAsync(
            Events.Delta("""{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{}"}}]}"""),
            request: "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\"}}]",
            finish: """{"index":0,"delta":{},"finish_reason":"tool_calls"}""");

        var call = reply.Choices[0].GetProperty("message").GetProperty("tool_calls")[0];
        Expect.That(reply, !call.TryGetProperty("index", out _), "tool calls have no index");
        Expect.That(reply, Reply.Find(reply.Json, "usage")?.ValueKind != JsonValueKind.Null, "usage is not null");
        Expect.That(reply, reply.Choices[0].GetProperty("message").GetProperty("content").ValueKind == JsonValueKind.Null, "content is null");
    }

    [Fact]
    public async Task WholeAnswerWithoutUsage_UsageIsNotNull()
    {
        var reply = await AskAsync(Events.Text(true, "a "), request: "");

        Expect.That(reply, Reply.Find(reply.Json, "usage")?.ValueKind != JsonValueKind.Null, "usage is not null");
    }

    /// <summary>After a failover in tier text the usage was missing.</summary>
    [Theory]
    [InlineData(WithUsage)]
    [InlineData("")]
    public async Task UsageAfterAFailover_IsThere(string members)
    {
        var dead = 0;
        Answer answer = exchange =>
            Interlocked.Exchange(ref dead, 1) == 0 ? Answers.Cut([.. SmallModel.Words.Take(20)])(exchange) : SmallModel.AnswerAsync(exchange);
        await using var first = new ScriptedServer(answer);
        await using var second = new ScriptedServer(answer);
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(), first, second);

        var reply = await gateway.ChatAsync(members);

        Expect.Answer(reply, SmallModel.Text);
        Expect.That(reply, reply.Usage is { } usage && usage.GetProperty("prompt_tokens").GetInt32() == 3
            && usage.GetProperty("completion_tokens").GetInt32() == 40,
            "the usage counts the whole answer, 3 and 40");
    }

    /// <summary>The whole body reaches the client with the server's id, or with one of the gateway's, but always the same one.</summary>
    [Fact]
    public async Task Ids_AreTheSameInAllChunks()
    {
        var reply = await AskAsync(Events.Text(true, "a "));

        Assert.Single(reply.Chunks.Select(chunk => chunk.GetProperty("id").GetString()).Distinct());
    }

    private static async Task<Reply> AskAsync(string first, string request = "\"stream\":true", string? finish = null, string? usage = null)
    {
        var last = finish is null ? Events.Finish(true) : Events.Chunk(finish);
        await using var server = new ScriptedServer(Answers.Stream([first, last, .. usage is null ? (string[])[] : [Events.Usage(usage)], "[DONE]"]));
        await using var gateway = await TestGateway.StartAsync(TestGateway.Setup.ShortWaits(2_000), server);
        var reply = await gateway.ChatAsync(request);
        Expect.That(reply, reply.Status == 200 && reply.FinishReasons.Count == 1, "the answer is whole");
        return reply;
    }
}
