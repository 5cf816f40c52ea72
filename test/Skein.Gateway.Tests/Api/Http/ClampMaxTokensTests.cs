using System.Net;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Protocol;

namespace Skein.Gateway.Tests.Api.Http;

public sealed class ClampMaxTokensTests
{
    private static readonly string Chat = Requests.WholeChat.Replace("{\"model\"", "{\"max_tokens\": 32000, \"model\"", StringComparison.Ordinal);

    [Theory]
    [InlineData("whole")]
    [InlineData("streamed")]
    public async Task Post_MaxTokensBeyondTheContext_IsAskedAgainWithout(string how)
    {
        await using var gateway = await StartAsync(clamp: true);

        var body = how == "whole" ? Chat : Chat.Replace("{\"model\"", "{\"stream\": true, \"model\"", StringComparison.Ordinal);
        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(body));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(32_000u, (await gateway.Sessions.StartedAsync()).Request.MaxTokens);
        Assert.False((await gateway.Sessions.StartedAsync()).Request.HasMaxTokens);
        Assert.Equal("completed", await gateway.Outcomes.NextAsync());
    }

    /// <summary>Some servers have a small default: without max_tokens the answer would be short.</summary>
    [Fact]
    public async Task Post_RefusalTellsWhatTheContextLeaves_IsAskedForThat()
    {
        await using var gateway = await TestGateway.StartAsync(
            session =>
            {
                if (session.Request.MaxTokens > 4086)
                {
                    session.Fail(Fault.ContextLengthExceeded, "maximum context length is 4096 tokens; requested 32010: 10 in the messages, 32000 in the completion");
                    return;
                }

                session.Push(Frames.Answer("a"));
                session.End();
            },
            new ApiOptions { ClampMaxTokens = true });

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Chat));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(32_000u, (await gateway.Sessions.StartedAsync()).Request.MaxTokens);
        Assert.Equal(4086u, (await gateway.Sessions.StartedAsync()).Request.MaxTokens);
    }

    /// <summary>The client did not send the number that the gateway tried.</summary>
    [Fact]
    public async Task Post_ClampedIsRefusedToo_ErrorHasTheClientsNumber()
    {
        await using var gateway = await TestGateway.StartAsync(
            session => session.Fail(
                Fault.ContextLengthExceeded, $"the context holds 4096 tokens; asked for: a prompt of 10 and max_tokens {session.Request.MaxTokens}"),
            new ApiOptions { ClampMaxTokens = true });

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Chat));

        Assert.Contains("max_tokens 32000", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(4086u, (await gateway.Sessions.StartedAsync(), await gateway.Sessions.StartedAsync()).Item2.Request.MaxTokens);
    }

    [Fact]
    public async Task Post_WithoutTheOption_PassesTheRefusalOn()
    {
        await using var gateway = await StartAsync(clamp: false);

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Chat));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("context_length_exceeded", await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Post_PromptThatIsTooLongByItself_IsRefusedOnce()
    {
        await using var gateway = await TestGateway.StartAsync(
            session => session.Fail(Fault.ContextLengthExceeded, "too long"), new ApiOptions { ClampMaxTokens = true });

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Chat));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("context_length_exceeded", await gateway.Outcomes.NextAsync());
    }

    private static Task<TestGateway> StartAsync(bool clamp) => TestGateway.StartAsync(
        session =>
        {
            if (session.Request.HasMaxTokens)
            {
                session.Fail(Fault.ContextLengthExceeded, "maximum context length is 4096 tokens");
                return;
            }

            session.Push(Frames.Answer("a"));
            session.End();
        },
        new ApiOptions { ClampMaxTokens = clamp });
}
