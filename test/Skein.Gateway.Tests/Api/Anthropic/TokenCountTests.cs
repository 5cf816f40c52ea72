using System.Net;
using Skein.Gateway.Tests.Api.OpenAi;

namespace Skein.Gateway.Tests.Api.Anthropic;

public sealed class TokenCountTests
{
    private const string Path = "/v1/messages/count_tokens?beta=true";
    private const string Body = """{"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}""";

    [Fact]
    public async Task Post_EngineThatTellsTheLengthAtOnce_IsNotWaitedFor()
    {
        await using var gateway = await TestGateway.StartAsync(session => session.Push(Frames.Start(promptTokens: 7)));

        Assert.Equal("""{"input_tokens":7}""", await gateway.Client.PostTextAsync(Path, Body));

        var session = await gateway.Sessions.StartedAsync();
        await session.Disposed;
        Assert.Equal(1u, session.Request.MaxTokens);
    }

    [Fact]
    public async Task Post_EngineThatCountsAtTheEnd_IsAskedForOneToken()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(promptTokens: 0), Frames.Token(0, "a"), Frames.Finish(1));
            session.End();
        });

        Assert.Equal("""{"input_tokens":3}""", await gateway.Client.PostTextAsync(Path, Body));
    }

    [Fact]
    public async Task Post_EngineThatDoesNotCount_IsNotFound()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            var finish = Frames.Finish(1);
            finish.Finish.Usage = null;
            session.Push(Frames.Start(promptTokens: 0), Frames.Token(0, "a"), finish);
            session.End();
        });

        using var response = await gateway.Client.PostAsync(Path, Requests.Json(Body));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.StartsWith(
            """{"type":"error","error":{"type":"not_found_error","message":"the engine of this model does not count tokens""",
            await response.Content.ReadAsStringAsync(),
            StringComparison.Ordinal);
    }
}
