using System.Text.Json;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>What a client says passes through.</summary>
public sealed class RequestMemberTests
{
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
}
