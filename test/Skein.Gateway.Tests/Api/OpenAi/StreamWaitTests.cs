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

/// <summary>Streams whose first token is late: when their status is sent, and what comes while a client waits.</summary>
public sealed class StreamWaitTests
{
    private readonly FakeTimeProvider _time = new();

    private Task<TestGateway> StartAsync(Action<ScriptedSession>? script = null) => TestGateway.StartAsync(script, time: _time);

    [Theory]
    [InlineData(Requests.ChatPath, Requests.StreamedChat, """{"index":0,"delta":{},"logprobs":null,"finish_reason":null}]}""")]
    [InlineData(Requests.CompletionPath, """{"model":"tiny","prompt":"x","stream":true}""", """{"index":0,"text":"","logprobs":null,"finish_reason":null}]}""")]
    public async Task Post_NoTokenWithinTheHeaderHold_CommitsAndKeepsTheClientCompany(string path, string body, string nothing)
    {
        await using var gateway = await StartAsync();
        using var http = await RawHttp.PostAsync(gateway.Http1, path, body);
        var session = await gateway.Sessions.StartedAsync();

        await session.WaitsAsync();
        _time.Advance(TimeSpan.FromSeconds(15));
        var head = await http.ReadUntilAsync("}\n\n");
        await session.WaitsAsync();
        session.Push(Frames.Start());
        await session.WaitsAsync();
        _time.Advance(TimeSpan.FromSeconds(15));
        var second = await http.ReadUntilAsync("}\n\n");
        await session.WaitsAsync();
        session.Push(Frames.Token(0, "a"));
        await http.ReadUntilAsync("\"a\"");
        await session.WaitsAsync();
        _time.Advance(TimeSpan.FromSeconds(15));
        var third = await http.ReadUntilAsync(nothing + "\n\n");
        await session.WaitsAsync();
        session.Push(Frames.Finish(1));
        session.End();
        var rest = await http.ReadUntilAsync("0\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 200 OK", head, StringComparison.Ordinal);
        Assert.DoesNotContain(SkeinHeaders.Replica, head, StringComparison.OrdinalIgnoreCase);
        Assert.All(new[] { head, second }, part => Assert.Matches($": waiting\ndata: .*\"model\":\"tiny\".*{Regex.Escape(nothing)}\n\n", part));
        Assert.Contains(": keep-alive\ndata: {", third, StringComparison.Ordinal);
        EventBlocks.AssertAllHaveData(string.Concat(RawHttp.Dechunk(head + second + third + rest).Chunks));
    }

    /// <summary>A full queue ends in a status as long as the request only waited.</summary>
    [Fact]
    public async Task Post_RequestInTheQueue_KeepsItsStatusOpenPastTheHeaderHold()
    {
        await using var gateway = await StartAsync(session => session.IsQueued = true);
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);
        var session = await gateway.Sessions.StartedAsync();
        for (var second = 0; second < 54; second++)
        {
            await session.WaitsAsync();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        await session.WaitsAsync();
        session.Fail(Fault.QueueTimeout, "no slot in time");

        Assert.StartsWith("HTTP/1.1 429 ", await http.ReadUntilAsync("queue_timeout"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", 55)]
    [InlineData("x-skein-early-headers: 1\r\n", 15)]
    public async Task Post_RequestInTheQueue_CommitsAtTheLatestTime(string header, int seconds)
    {
        await using var gateway = await StartAsync(session => session.IsQueued = true);
        using var http = await RawHttp.PostAsync(
            gateway.Http1, Requests.ChatPath, Requests.StreamedChat, headers: $"{header}Content-Length: {Requests.StreamedChat.Length}");
        var session = await gateway.Sessions.StartedAsync();
        for (var second = 0; second < seconds; second++)
        {
            await session.WaitsAsync();
            Assert.Equal(0, http.Available);
            _time.Advance(TimeSpan.FromSeconds(1));
            if (header.Length > 0)
            {
                _time.Advance(TimeSpan.FromSeconds(seconds - 1));
                break;
            }
        }

        Assert.StartsWith("HTTP/1.1 200 OK", await http.ReadUntilAsync(": waiting\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_RequestThatLeavesTheQueue_IsHeldForTheHeaderHoldFromThen()
    {
        await using var gateway = await StartAsync(session => session.IsQueued = true);
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);
        var session = await gateway.Sessions.StartedAsync();
        for (var second = 0; second < 20; second++)
        {
            await session.WaitsAsync();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        await session.WaitsAsync();
        session.IsQueued = false;
        _time.Advance(TimeSpan.FromSeconds(1));
        await session.WaitsAsync();
        Assert.Equal(0, http.Available);
        _time.Advance(TimeSpan.FromSeconds(15));

        Assert.StartsWith("HTTP/1.1 200 OK", await http.ReadUntilAsync(": waiting\n"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_TokensFasterThanTheKeepAlive_SendsNoComment()
    {
        await using var gateway = await StartAsync(session => session.Push(Frames.Start(), Frames.Token(0, "t0")));
        using var http = await RawHttp.PostAsync(gateway.Http1, Requests.ChatPath, Requests.StreamedChat);
        var session = await gateway.Sessions.StartedAsync();
        for (uint i = 1; i < 4; i++)
        {
            await session.WaitsAsync();
            _time.Advance(TimeSpan.FromSeconds(14));
            session.Push(Frames.Token(i, $"t{i}"));
        }

        session.Push(Frames.Finish(4));
        session.End();

        Assert.DoesNotContain("\n: ", await http.ReadUntilAsync("[DONE]"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Fault.QueueFull, HttpStatusCode.TooManyRequests)]
    [InlineData(Fault.StreamLost, HttpStatusCode.BadGateway)]
    public async Task Post_ErrorAfterStartBeforeTheFirstToken_HasItsRealStatus(Fault error, HttpStatusCode status)
    {
        await using var gateway = await StartAsync(session =>
        {
            session.Push(Frames.Start());
            session.Fail(error, "no luck");
        });

        using var response = await gateway.Client.PostAsync(Requests.ChatPath, Requests.Json(Requests.StreamedChat));

        Assert.Equal(status, response.StatusCode);
        Assert.Contains("no luck", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static void Finish(ScriptedSession session, params GenerateFrame[] frames)
    {
        session.Push(frames);
        session.End();
    }
}
