using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Skein.Protocol;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api;

/// <summary>Every block of every API's streams carries data, also where the gateway says something of its own. Clients parse a block without data as JSON.</summary>
public sealed class EventBlockTests
{
    private static readonly (string Path, string Body)[] Apis =
    [
        ("/v1/chat/completions", """{"model": "tiny", "stream": true, "messages": [{"role": "user", "content": "hi"}]}"""),
        ("/v1/completions", """{"model": "tiny", "stream": true, "prompt": "hi"}"""),
        ("/v1/responses", """{"model": "tiny", "stream": true, "input": "hi"}"""),
        ("/v1/messages", """{"model": "tiny", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]}"""),
    ];

    public static TheoryData<string, string> Streams { get; } = [.. Apis];

    [Theory]
    [MemberData(nameof(Streams))]
    public async Task Failover_IsToldInABlockWithData(string path, string body)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Failovers = [new Failover(0, 1, "replica-2", "stall"), new Failover(0, 2, "replica-3", "link")];
            session.Push(Frames.Answer("a", "b", "c"));
            session.End();
        });
        using var http = await RawHttp.PostAsync(gateway.Http1, path, body, headers: $"x-skein-show-replica: 1\r\nContent-Length: {body.Length}");

        var (chunks, isTerminated) = RawHttp.Dechunk(await http.ReadUntilAsync("0\r\n\r\n"));

        Assert.True(isTerminated);
        Assert.Contains(": skein failovers=2", string.Concat(chunks), StringComparison.Ordinal);
        AssertEvents(string.Concat(chunks));
    }

    [Theory]
    [MemberData(nameof(Streams))]
    public async Task Cut_IsToldInABlockWithData(string path, string body)
    {
        await using var gateway = await TestGateway.StartAsync(session =>
        {
            session.Push(Frames.Start(), Frames.Token(0, "a"));
            session.Fail(Fault.StreamLost, "two replicas lost");
        });
        using var http1 = await RawHttp.PostAsync(gateway.Http1, path, body);
        using var http2 = await RawHttp2.PostAsync(gateway.Http2, path, body);

        AssertEvents(string.Concat(RawHttp.Dechunk(await http1.ReadToEndAsync()).Chunks));
        var (padded, resetCode) = await http2.ReadToEndAsync();

        Assert.Equal(2, resetCode); // INTERNAL_ERROR
        AssertEvents(padded);
    }

    [Theory]
    [MemberData(nameof(Streams))]
    public async Task Pause_IsFilledWithBlocksWithData(string path, string body)
    {
        var time = new FakeTimeProvider();
        await using var gateway = await TestGateway.StartAsync(time: time);
        using var http = await RawHttp.PostAsync(gateway.Http1, path, body);
        var session = await gateway.Sessions.StartedAsync();
        await session.WaitsAsync();

        // Before the engine began, before the first token, and after it.
        time.Advance(TimeSpan.FromSeconds(15));
        var text = await http.ReadUntilAsync("\n\n");
        await session.WaitsAsync();
        session.Push(Frames.Start());
        await session.WaitsAsync();
        time.Advance(TimeSpan.FromSeconds(15));
        text += await http.ReadUntilAsync("\n\n");
        await session.WaitsAsync();
        session.Push(Frames.Token(0, "first"));
        text += await http.ReadUntilAsync("first");
        await session.WaitsAsync();
        time.Advance(TimeSpan.FromSeconds(15));
        text += await http.ReadUntilAsync("\n\n");
        await session.WaitsAsync();
        session.Push(Frames.Finish(1));
        session.End();
        text += await http.ReadUntilAsync("0\r\n\r\n");

        AssertEvents(string.Concat(RawHttp.Dechunk(text).Chunks));
    }

    private static void AssertEvents(string body)
    {
        EventBlocks.AssertAllHaveData(body);
        Assert.All(EventBlocks.OfPython(body), data => Assert.True(data.Trim() == "[DONE]" || JsonElement.Parse(data).ValueKind == JsonValueKind.Object, data));
    }
}
