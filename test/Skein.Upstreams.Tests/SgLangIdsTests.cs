using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Chats of SGLang go through its call for ids; the reasoning is divided as its parser does.</summary>
public sealed class SgLangIdsTests
{
    /// <summary>Chats of a server with a parser of reasoning were made again: the tier was none.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task KilledAtEveryToken_AnswerIsTheUndisturbedOne(bool parsesReasoning)
    {
        var at = -1;
        Func<int, bool> dies = index => Interlocked.CompareExchange(ref at, -1, index) == index;
        await using var first = SgLangServer.Start(VllmServer.Reasoned, parsesReasoning, dies);
        await using var second = SgLangServer.Start(VllmServer.Reasoned, parsesReasoning, dies);
        await using var gateway = await TestGateway.StartAsync(first, second);
        await gateway.WhenTierAsync("tokens", first.Name, second.Name);
        var (reasoning, content) = parsesReasoning ? VllmServer.Parts : ("", string.Concat(VllmServer.Reasoned));

        for (var index = 0; index <= VllmServer.Reasoned.Count; index++)
        {
            Volatile.Write(ref at, index);
            var reply = await gateway.ChatAsync("\"stream\":true,\"stream_options\":{\"include_usage\":true}");

            Assert.Equal(-1, Volatile.Read(ref at));
            Assert.Equal("tokens", reply.Header("x-skein-resume-tier"));
            Expect.Answer(reply, content);
            Assert.Equal(reasoning, string.Concat(reply.Deltas.Select(delta => Reply.Find(delta, "reasoning_content")?.GetString())));
            Assert.Equal(VllmServer.Reasoned.Count + 1, Reply.Find(reply.Usage!.Value, "completion_tokens")?.GetInt32());
            // Up to the closing mark, as its own chat call counts.
            var reasoned = VllmServer.Reasoned.TakeWhile(piece => piece != "</think>").Count() + 1;
            Assert.Equal(parsesReasoning ? reasoned : 0, Reply.Find(reply.Usage!.Value, "reasoning_tokens")?.GetInt32());
        }
    }

    /// <summary>Such chats went by text: the tier was text.</summary>
    [Theory]
    [InlineData("\"chat_template_kwargs\":{\"enable_thinking\":false}", "chat_template_kwargs")]
    [InlineData("\"return_token_ids\":true,\"stream\":false", "return_token_ids")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":2", "top_logprobs")]
    public async Task ChatWithMember_GoesByIds(string members, string name)
    {
        await using var server = SgLangServer.Start(SmallModel.Words, parsesReasoning: false);
        await using var gateway = await TestGateway.StartAsync(server);
        await gateway.WhenTierAsync("tokens", server.Name);

        var reply = await gateway.ChatAsync(members);

        Expect.Answer(reply, string.Concat(SmallModel.Words));
        Assert.Equal("tokens", reply.Header("x-skein-resume-tier"));
        var rendered = server.Requests.Last(request => request.Path == "/tokenize");
        Assert.True(name != "chat_template_kwargs" || rendered.Json.TryGetProperty(name, out _));
        var generated = server.Requests.Last(request => request.Path == "/generate").Json;
        Assert.False(generated.TryGetProperty(name, out _));
        Assert.Equal(name == "top_logprobs", generated.TryGetProperty("return_logprob", out _));
        var ids = reply.Choices.Select(choice => Reply.Find(choice, "response_token_ids")?.GetArrayLength()).LastOrDefault(count => count is not null);
        Assert.Equal(name == "return_token_ids" ? SmallModel.Words.Count : null, ids);
    }

    /// <summary>A parser whose marks are not known: the chat call divides, and lost chats are made again.</summary>
    [Fact]
    public async Task UnknownParser_ChatIsTheChatCalls()
    {
        await using var server = SgLangServer.Start(VllmServer.Reasoned, parsesReasoning: true);
        server.On("/separate_reasoning", Servers.Answers.Json("""{"detail":"Not Found"}""", 404));
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync();

        Expect.Answer(reply, VllmServer.Parts.Content);
        Assert.Equal("none", reply.Header("x-skein-resume-tier"));
    }
}
