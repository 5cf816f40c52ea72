using System.Globalization;
using Microsoft.Extensions.Logging;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api.OpenAi;

/// <summary>
/// A stream that cannot be saved: everything sent before arrives, then one error event, then the response fails. Clients take any clean end
/// for success.
/// </summary>
public sealed class BrokenStreamTests
{
    private const string Error = """data: {"error":{"message":"two replicas lost","type":"server_error","param":null,"code":"stream_lost"}}""" + "\n\n";

    /// <summary>About 60 kB of events, which fit into the buffers on the way, and about 6 MB, which do not.</summary>
    public static TheoryData<int> Tokens => [300, 30_000];

    [Theory]
    [MemberData(nameof(Tokens))]
    public async Task Http1_SessionLost_EverythingArrivesAndTheBodyStaysUnterminated(int tokens)
    {
        await using var gateway = await TestGateway.StartAsync(session => BreakAfter(session, tokens));
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.False(isTerminated);
        AssertWhole(string.Concat(chunks), tokens);
    }

    [Fact]
    public async Task Http1_EngineAnsweredAnErrorAfterText_TellsItInTheEnginesWords()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Answer("a")[..^1]);
            session.Fail(new FaultException(Fault.InvalidRequest, "ours") { Engine = new EngineError(400, "theirs", "BadRequestError", null, "400") { CodeIsNumber = true } });
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.False(isTerminated);
        Assert.EndsWith(
            """data: {"error":{"message":"theirs","type":"BadRequestError","param":null,"code":400}}""" + "\n\n", string.Concat(chunks), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"a":1}}],"choices":[{"delta":{}}""")]
    [InlineData("{\"a\":1}\n\ndata: [DONE]\n\n{}")]
    [InlineData("{\"a\":\"\n\ndata: [DONE]\n\n\"}")]
    public async Task Http1_RawDeltaThatOnlyLooksLikeAnObject_IsNotSentAndTheBodyStaysUnterminated(string delta)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "kept"), Frames.Delta(1, delta), Frames.Finish(2));
            session.End();
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        var text = string.Concat(chunks);
        Assert.False(isTerminated);
        Assert.Contains("\"content\":\"kept\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("DONE", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"delta\":{\"a\"", text, StringComparison.Ordinal);
        Assert.StartsWith("data: {\"error\":", text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[^1], StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Tokens))]
    public async Task Http1_SessionLostAndAReaderThatComesLate_EverythingArrives(int tokens)
    {
        await using var gateway = await TestGateway.StartAsync(session => BreakAfter(session, tokens));
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat, receiveBuffer: 4096);
        var session = await gateway.Sessions.StartedAsync();
        // An answer that fits into the buffers is sent, and its session ended, before a byte is read. A larger one waits for the reader.
        await (tokens < 1_000 ? session.Disposed : session.WellUnderWay);

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadToEndAsync());

        Assert.False(isTerminated);
        AssertWhole(string.Concat(chunks), tokens);
    }

    [Theory]
    [InlineData(200, false)]
    [InlineData(200, true)]
    [InlineData(30_000, false)]
    [InlineData(30_000, true)]
    public async Task Http2_SessionLost_EverythingArrivesThenTheStreamIsReset(int tokens, bool readLate)
    {
        await using var gateway = await TestGateway.StartAsync(session => BreakAfter(session, tokens));
        using var http = await RawHttp2.PostAsync(gateway.Http2, Requests.ChatPath, Requests.StreamedChat);
        var session = await gateway.Sessions.StartedAsync();
        if (readLate)
            await (tokens < 1_000 ? session.Disposed : session.WellUnderWay);

        var (body, resetCode) = await http.ReadToEndAsync();

        Assert.Equal(2, resetCode); // INTERNAL_ERROR
        AssertWhole(body.Split(": .")[0], tokens);
        EventBlocks.AssertAllHaveData(body);
    }

    /// <summary>The session has logged it: one lost stream wrote two warnings with the same text.</summary>
    [Fact]
    public async Task Http1_SessionLost_LogsNoSecondLineAndNoStack()
    {
        await using var gateway = await TestGateway.StartAsync(session => BreakAfter(session, 3));
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);
        await http.ReadToEndAsync();

        Assert.DoesNotContain(gateway.Log.All, line => line.Level >= LogLevel.Warning);
        Assert.DoesNotContain(gateway.Log.All, line => line.Exception is not null);
    }

    [Fact]
    public async Task Http1_BugInMidStream_TellsTheClientNothingAndTheLogEverything()
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "a"));
            session.Fail(new InvalidOperationException("secret"));
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);

        var response = await http.ReadToEndAsync();

        Assert.Contains("\"code\":\"internal_error\"", response, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", response, StringComparison.Ordinal);
        Assert.False(RawHttp.Dechunk(response).IsTerminated);
        var line = Assert.Single(gateway.Log.All, line => line.Level >= LogLevel.Warning);
        Assert.Equal("secret", line.Exception?.Message);
    }

    [Fact]
    public async Task Http1_ClientThatNeverReads_IsCutOff()
    {
        await using var gateway = await TestGateway.StartAsync(
            session => BreakAfter(session, 200_000), new ApiOptions { WriteTimeout = TimeSpan.FromMilliseconds(200) });
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat, receiveBuffer: 4096);

        var session = await gateway.Sessions.StartedAsync();
        await session.Disposed;

        Assert.False(session.IsReadToEnd);
        Assert.Equal("slow_client", await gateway.Outcomes.NextAsync());
    }

    [Fact]
    public async Task Http1_ErrorAfterTheHeaderHold_ComesInBand()
    {
        await using var gateway = await TestGateway.StartAsync(options: new ApiOptions { HeaderHold = TimeSpan.FromMilliseconds(1) });
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);
        await http.ReadUntilAsync(": waiting\n");

        (await gateway.Sessions.StartedAsync()).Fail(Fault.QueueTimeout, "waited in vain");
        var rest = await http.ReadToEndAsync();

        Assert.Contains("""data: {"error":{"message":"waited in vain","type":"rate_limit_error","param":null,"code":"queue_timeout"}}""", rest, StringComparison.Ordinal);
        Assert.DoesNotContain("\r\n0\r\n", rest, StringComparison.Ordinal);
    }

    private static void BreakAfter(ScriptedSession session, int tokens)
    {
        session.Push(Frames.Start());
        session.Push(Enumerable.Range(0, tokens).Select(i => Frames.Token((uint)i, $"<{i}>")));
        session.Fail(Fault.StreamLost, "two replicas lost");
    }

    private static void AssertWhole(string text, int tokens)
    {
        var events = text.Split("\n\n");
        Assert.Equal(1 + tokens + 1 + 1, events.Length); // role, tokens, error, and nothing behind it
        for (var i = 0; i < tokens; i++)
            Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"\"content\":\"<{i}>\""), events[i + 1], StringComparison.Ordinal);
        Assert.EndsWith(Error, text, StringComparison.Ordinal);
    }
}
