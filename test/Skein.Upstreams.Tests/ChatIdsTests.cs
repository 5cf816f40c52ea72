using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>Chats of servers that return token ids: the server's chat call begins an answer, its ids continue it.</summary>
public sealed class ChatIdsTests
{
    /// <summary>The reasoning was delivered as the answer's content, without any failure at all.</summary>
    [Theory]
    [InlineData("\"stream\":true")]
    [InlineData("")]
    public async Task ServerParsesReasoning_ReasoningIsNoContent(string members)
    {
        await using var server = VllmServer.Start(VllmServer.Reasoned, parsesReasoning: true);
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync(members);

        Expect.Answer(reply, VllmServer.Parts.Content);
        Assert.Equal(VllmServer.Parts.Reasoning, ReasoningOf(reply));
        Assert.Equal("tokens", reply.Header("x-skein-resume-tier"));
        Expect.That(reply, !reply.Body.Contains("token_ids", StringComparison.Ordinal), "ids are not shown to whom did not ask");
    }

    /// <summary>Killed at every token: the continued answer is divided as the server's parser would.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task KilledAtEveryToken_AnswerIsTheUndisturbedOne(bool parsesReasoning)
    {
        var at = -1;
        Func<int, bool> dies = index => Interlocked.CompareExchange(ref at, -1, index) == index;
        await using var first = VllmServer.Start(VllmServer.Reasoned, parsesReasoning, dies);
        await using var second = VllmServer.Start(VllmServer.Reasoned, parsesReasoning, dies);
        await using var gateway = await TestGateway.StartAsync(first, second);
        var (reasoning, content) = parsesReasoning ? VllmServer.Parts : ("", string.Concat(VllmServer.Reasoned));

        for (var index = 0; index <= VllmServer.Reasoned.Count; index++)
        {
            Volatile.Write(ref at, index);
            var reply = await gateway.ChatAsync("\"stream\":true,\"stream_options\":{\"include_usage\":true}");

            Assert.Equal(-1, Volatile.Read(ref at));
            Expect.Answer(reply, content);
            Assert.Equal(reasoning, ReasoningOf(reply));
            Assert.Equal(VllmServer.Reasoned.Count + 1, Reply.Find(reply.Usage!.Value, "completion_tokens")?.GetInt32());
        }
    }

    /// <summary>The client's own question for ids lowers no tier, and is answered.</summary>
    [Fact]
    public async Task ClientAsksForIds_GetsThem()
    {
        await using var server = VllmServer.Start(VllmServer.Reasoned, parsesReasoning: true);
        await using var gateway = await TestGateway.StartAsync(server);

        var reply = await gateway.ChatAsync("\"stream\":true,\"return_token_ids\":true");

        Assert.Equal("tokens", reply.Header("x-skein-resume-tier"));
        Expect.That(reply, reply.Body.Contains("\"token_ids\":[500000]", StringComparison.Ordinal), "the first token's id is shown");
        Expect.That(reply, reply.Body.Contains("\"prompt_token_ids\":[", StringComparison.Ordinal), "the prompt's ids are shown");
    }

    private static string ReasoningOf(Reply reply) => reply.IsStream
        ? string.Concat(reply.Deltas.Select(delta => Reply.Find(delta, "reasoning")?.GetString()))
        : Reply.Find(reply.Json.GetProperty("choices")[0].GetProperty("message"), "reasoning")?.GetString() ?? "";
}
