using System.Text.Json;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>What a server says passes through, what a client says too, and nothing is invented.</summary>
public sealed class MemberTests
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

    // Not top_k 0, which means no limit and is sent as -1: servers differ in what they take 0 for.
    public static TheoryData<string> RequestMembers { get; } =
    [
        "\"top_k\":-1", "\"top_p\":0", "\"top_p\":0.95", "\"min_p\":0", "\"max_tokens\":-1", "\"max_tokens\":0",
        "\"temperature\":0.1234567890123456", "\"temperature\":0.70", "\"temperature\":1e-1", "\"frequency_penalty\":-0.333333333333333",
        "\"presence_penalty\":1.10", "\"repetition_penalty\":1.0499999", "\"seed\":42", "\"seed\":9007199254740993", "\"logit_bias\":[[5,-100],[6,1.5]]",
        "\"logit_bias\":{\"5\":-100}", "\"logit_bias\":[[\" a\",false]]", "\"user\":\"u1\"", "\"stop\":[\"x\",\"y\"]", "\"service_tier\":\"flex\"",
        "\"parallel_tool_calls\":false", "\"x_unknown\":{\"a\":[1.0,null]}", "\"chat_template_kwargs\":{\"enable_thinking\":false}",
        "\"reasoning_effort\":\"low\"", "\"ignore_eos\":true", "\"cache_prompt\":false", "\"logprobs\":true,\"top_logprobs\":3",
        "\"n_probs\":2", "\"mirostat\":2", "\"dry_multiplier\":0.8",
    ];

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

    /// <summary>Members of requests were refused, rounded or dropped.</summary>
    [Theory]
    [MemberData(nameof(RequestMembers))]
    public async Task MemberOfARequest_PassesThroughAsSent(string members)
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync($"\"stream\":true,{members}");

        Expect.That(reply, reply.Status == 200, "the request is taken");
        var sent = Assert.Single(server.Asked).Json;
        foreach (var member in JsonElement.Parse($"{{{members}}}").EnumerateObject())
            Assert.Equal(member.Value.GetRawText(), Reply.Find(sent, member.Name)?.GetRawText());
    }

    /// <summary>Some servers know only one of the two names.</summary>
    [Fact]
    public async Task MaxCompletionTokens_IsSentUnderOneOfItsNames()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        await gateway.ChatAsync("\"stream\":true,\"max_completion_tokens\":7");

        var sent = Assert.Single(server.Asked).Json;
        Assert.Equal("7", (Reply.Find(sent, "max_completion_tokens") ?? Reply.Find(sent, "max_tokens"))?.GetRawText());
    }

    [Fact]
    public async Task StreamOptions_PassThrough()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        await gateway.ChatAsync("\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true,\"include_obfuscation\":false}");

        var sent = Assert.Single(server.Asked).Json.GetProperty("stream_options");
        Assert.Equal("true", Reply.Find(sent, "continuous_usage_stats")?.GetRawText());
        Assert.Equal("false", Reply.Find(sent, "include_obfuscation")?.GetRawText());
    }

    /// <summary>-1 was one fixed seed.</summary>
    [Fact]
    public async Task SeedMinusOne_MeansNone()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        await gateway.ChatAsync("\"stream\":true,\"temperature\":1,\"seed\":-1");
        await gateway.ChatAsync("\"stream\":true,\"temperature\":1,\"seed\":-1");

        var seeds = server.Asked.Select(request => Reply.Find(request.Json, "seed")?.GetRawText()).ToArray();
        Assert.True(seeds is [null or "null" or "-1", ..] || seeds.Distinct().Count() == 2, string.Join(", ", seeds));
    }

    /// <summary>Null is as if absent: it lowered the tier to none.</summary>
    [Theory]
    [InlineData("\"functions\":null")]
    [InlineData("\"grammar\":null")]
    [InlineData("\"guided_json\":null")]
    [InlineData("\"tools\":null")]
    [InlineData("\"tools\":[]")]
    [InlineData("\"response_format\":null")]
    [InlineData("\"stop\":null")]
    [InlineData("\"temperature\":null,\"top_p\":null,\"n\":null,\"seed\":null,\"max_tokens\":null,\"logit_bias\":null,\"logprobs\":null,\"stream_options\":null")]
    public async Task NullOrEmptyMember_IsAsIfAbsent(string members)
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        var plain = await gateway.ChatAsync();
        var reply = await gateway.ChatAsync($"\"stream\":true,{members}");

        Expect.Answer(reply, SmallModel.Text);
        Expect.That(reply, reply.Header("x-skein-resume-tier") == plain.Header("x-skein-resume-tier"), $"the tier is {plain.Header("x-skein-resume-tier")}");
    }

    [Theory]
    [InlineData("""[{"role":"user","content":null},{"role":"user","content":"Tell the story"}]""")]
    [InlineData("""[{"role":"developer","content":"x"},{"role":"user","content":"Tell the story"}]""")]
    [InlineData("""[{"role":"ipython","content":"x"},{"role":"user","content":"Tell the story","name":"ann","x":1.0}]""")]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"Tell the story"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]}]""")]
    [InlineData("""[{"role":"assistant","content":"","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":"Tell the story"}]""")]
    [InlineData("""[{"role":"user","content":"Tell the story"},{"role":"assistant","content":null,"reasoning_content":"hm"},{"role":"user","content":""}]""")]
    public async Task MessagesOfAnyShape_PassThrough(string messages)
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.PostAsync("/v1/chat/completions", $$"""{"model":"story","stream":true,"messages":{{messages}}}""");

        Expect.That(reply, reply.Status == 200, "the request is taken");
        Assert.Equal(messages, Assert.Single(server.Asked).Json.GetProperty("messages").GetRawText());
    }

    /// <summary>Every README's example is curl -d without a content type.</summary>
    [Theory]
    [InlineData("Content-Type: application/x-www-form-urlencoded\r\n")]
    public async Task CurlWithoutContentType_IsTaken(string header)
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);

        Expect.Answer(await gateway.ChatAsync(headers: header), SmallModel.Text);
    }

    [Fact]
    public async Task EmptyPrompt_GoesToTheServer()
    {
        await using var server = new ScriptedServer();
        await using var gateway = await TestGateway.StartAsync(server);
        server.GenerateForGateway = Answers.Words("a ");
        var before = server.OwnGenerations;

        Expect.Answer(await gateway.PostAsync("/v1/completions", """{"model":"story","prompt":"","stream":true}"""), "a ");

        Assert.Equal(before + 1, server.OwnGenerations);
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
