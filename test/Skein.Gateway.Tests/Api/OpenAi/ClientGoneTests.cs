using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Tests.Api.OpenAi;

public sealed class ClientGoneTests
{
    [Theory]
    [InlineData(Requests.StreamedChat, false)]
    [InlineData(Requests.StreamedChat, true)]
    [InlineData(Requests.WholeChat, true)]
    public async Task Reset_WhileTheSessionRuns_DisposesIt(string body, bool afterTheFirstToken)
    {
        await using var gateway = await TestGateway.StartAsync();
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, body);
        var session = await gateway.Sessions.StartedAsync();
        if (afterTheFirstToken)
            session.Push(Frames.Start(), Frames.Token(0, "a"));
        await session.WaitsAsync();

        http.Reset();

        await session.Disposed;
        Assert.Equal(RequestOutcomes.Cancelled, await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Reset_WhileTheBodyIsSent_StartsNoSession()
    {
        await using var gateway = await TestGateway.StartAsync();
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, "", headers: "Content-Length: 10000\r\nExpect: 100-continue");
        await http.ReadUntilAsync("100 Continue");

        http.Reset();

        Assert.Equal(RequestOutcomes.Cancelled, await gateway.Outcomes.NextAsync());
        Assert.False(gateway.Sessions.HasStarted);
    }
}
