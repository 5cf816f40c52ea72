using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;
using Skein.Engines.Embedded;
using Skein.Engines.Tests.OpenAiCompatible;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary><c>skein gateway --upstream</c>: OpenAI-compatible servers that the gateway itself serves.</summary>
public class UpstreamTests
{
    private static readonly string Counted = string.Concat(Enumerable.Range(0, FakeUpstream.Words).Select(word => string.Create(CultureInfo.InvariantCulture, $"{word} ")));

    [Fact]
    public async Task Upstream_DownThenDyingInMidStreamThenBack_StreamsGoOnAndItIsTakenInAndOut()
    {
        var fuse = new Fuse();
        await using var first = await FakeUpstream.StartAsync(fuse, FreePort.Next());
        var port = FreePort.Next();
        var late = $"127.0.0.1:{port}";
        await using var gateway = await UpstreamGateway.StartAsync([first.Url, new Uri($"http://{late}")], "--upstream-slots", "4");
        var served = await gateway.MemberAsync(first.Name, "alive");
        var down = await gateway.MemberAsync(late, "dead");
        Assert.Equal(("replica", "counter", 4u), (served.Role, Assert.Single(served.Models), served.Slots));
        Assert.Empty(down.Models);
        Assert.Equal(Counted, (await AskAsync(gateway)).Text);

        await using var second = await FakeUpstream.StartAsync(fuse, port);
        await gateway.MemberAsync(late, "alive");
        Assert.Single(gateway.Process.Errors.Split('\n'), line => line.Contains($"Upstream {late} is not served", StringComparison.Ordinal));
        // All upstreams have reported their models, and there is no group: a model that none of them has is unknown.
        using var unknown = await Until.DoneAsync(gateway.Client.PostAsJsonAsync("/v1/completions", new { model = "nope", prompt = "a" }), "an answer");
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);

        fuse.SetAt(7);
        var asked = AskAsync(gateway);
        var dying = await Until.DoneAsync(fuse.Burnt.Task, "a stream of 7 words", context: () => gateway.Process.Errors);
        await dying.DisposeAsync();
        var saved = await asked;

        Assert.Equal((Counted, "stop"), (saved.Text, saved.FinishReason));
        // Frames that were in transit when the connection broke may be lost.
        Assert.Matches($@"^failovers=1 attempts=2 \[token [0-7]: {gateway.PublicNameOf(dying.Name)} lost \(connection_lost\)\]$", saved.Failovers);
        await gateway.MemberAsync(dying.Name, "dead");
        for (var i = 0; i < 4; i++)
            Assert.Equal((Counted, null), await AskAsync(gateway) is var answer ? (answer.Text, answer.Failovers) : default);

        await using var again = await FakeUpstream.StartAsync(fuse, int.Parse(dying.Name.Split(':')[1], CultureInfo.InvariantCulture));
        await gateway.MemberAsync(dying.Name, "alive");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public async Task Upstream_FreezesInMidStreamOrBefore_StreamGoesOnElsewhereAndItIsLeftOut(int atWord)
    {
        await using var pair = await Pair.StartAsync();
        (var fuse, var gateway) = (pair.Fuse, pair.Gateway);

        fuse.SetAt(atWord);
        var asked = AskAsync(gateway);
        var frozen = await Until.DoneAsync(fuse.Burnt.Task, $"a stream of {atWord} words", context: () => gateway.Process.Errors);
        frozen.Freeze();
        var saved = await asked;

        Assert.Equal((Counted, "stop"), (saved.Text, saved.FinishReason));
        // Before the first token only the health check can find it, because engine_stall takes 2 minutes. Later it takes 5 s
        // and can come first on a busy machine.
        Assert.Matches($@"{gateway.PublicNameOf(frozen.Name)} lost \((connection_lost{(atWord > 0 ? "|engine_stall" : "")})\)", saved.Failovers);
        for (var i = 0; i < 4; i++)
            Assert.Equal((Counted, null), await AskAsync(gateway) is var answer ? (answer.Text, answer.Failovers) : default);

        frozen.Thaw();
        await gateway.MemberAsync(frozen.Name, "alive");
    }

    [Fact]
    public async Task Drain_UpstreamWithAStream_StreamIsMovedAndItStaysIdleUntilUndrain()
    {
        await using var pair = await Pair.StartAsync("--engine-stall", "10m");
        (var fuse, var gateway) = (pair.Fuse, pair.Gateway);
        var address = $"{gateway.Client.BaseAddress}";

        // The stream stops there, but the server answers health checks: only a drain moves the stream.
        fuse.SetAt(7);
        var asked = AskAsync(gateway);
        var drained = await Until.DoneAsync(fuse.Burnt.Task, "a stream of 7 words", context: () => gateway.Process.Errors);
        var drain = await SkeinProcess.RunAsync("drain", drained.Name, "--grace", "0s", "--gateway", address);
        var moved = await asked;

        Assert.Equal((0, ""), (drain.ExitCode, drain.Errors));
        Assert.Equal((Counted, "stop"), (moved.Text, moved.FinishReason));
        Assert.Contains($"{gateway.PublicNameOf(drained.Name)} moved (draining)", moved.Failovers, StringComparison.Ordinal);
        Assert.Equal((true, 0u), await gateway.MemberAsync(drained.Name, "alive") is var row ? (row.Draining, row.InFlight) : default);

        Assert.Equal(0, (await SkeinProcess.RunAsync("undrain", drained.Name, "--gateway", address)).ExitCode);
        Assert.False((await gateway.MemberAsync(drained.Name, "alive")).Draining);
    }

    [Fact]
    public async Task Upstream_DiesInTheMiddleOfAToolCall_ClientGetsTheCallsWholeAndOnce()
    {
        await using var pair = await Pair.StartAsync();
        (var fuse, var gateway) = (pair.Fuse, pair.Gateway);

        // The text, then half of the first tool call.
        fuse.SetAt(3);
        var asked = AskAsync(gateway, """[{"type":"function","function":{"name":"add"}}]""");
        var dying = await Until.DoneAsync(fuse.Burnt.Task, "half a call", context: () => gateway.Process.Errors);
        await dying.DisposeAsync();
        var saved = await asked;

        Assert.Equal(("Let me see. ", "tool_calls"), (saved.Text, saved.FinishReason));
        Assert.Equal(FakeUpstream.Calls, Assert.Single(saved.ToolCalls));
        Assert.Contains(gateway.PublicNameOf(dying.Name), saved.Failovers, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Upstream_RealLlamaServerKilledOrStoppedInMidStream_AnswerIsTheUndisturbedOne(bool isStopped)
    {
        var program = LlamaProgram.Find();
        Assert.SkipWhen(program is null, LlamaProgram.Missing);
        int[] ports = [FreePort.Next(), FreePort.Next()];
        List<Process> servers = [.. ports.Select(port => LlamaProgram.Start(program, new EmbeddedEngineOptions().ModelFile, port, slots: 2))];
        try
        {
            await using var gateway = await UpstreamGateway.StartAsync(ports.Select(port => new Uri($"http://127.0.0.1:{port}")), "--bit-exact");
            foreach (var port in ports)
                Assert.Equal(2u, (await gateway.MemberAsync($"127.0.0.1:{port}", "alive")).Slots);
            var question = new Question("Tell me a story about an owl.", MaxTokens: 200);
            await using var whole = await HttpAnswerStream.AskAsync(gateway.Client, question);
            var undisturbed = await whole.ReadToEndAsync();

            await using var stream = await HttpAnswerStream.AskAsync(gateway.Client, question);
            var serving = servers[Array.IndexOf(ports, int.Parse(gateway.NameOf(stream.Replica).Split(':')[1], CultureInfo.InvariantCulture))];
            ProcessHandle.Of(serving.Id).Send(isStopped ? Signal.Freeze : Signal.Kill);
            var saved = await stream.ReadToEndAsync();

            Assert.Equal(undisturbed, saved);
            Assert.SkipWhen(stream.Failovers is null, "the answer was whole before its server could be lost");
            TestContext.Current.TestOutputHelper?.WriteLine($"longest pause {stream.LongestPause.TotalMilliseconds:0} ms, {stream.Failovers}");
            Assert.Matches($@"{stream.Replica} lost \((connection_lost{(isStopped ? "|engine_stall" : "")})\)", stream.Failovers);
        }
        finally
        {
            foreach (var server in servers)
            {
                server.Kill();
                server.Dispose();
            }
        }
    }

    /// <summary>The only server is killed in mid-stream and started again: the stream waits for it and goes on.</summary>
    [Fact]
    public async Task Upstream_OnlyRealLlamaServerRestartedInMidStream_AnswerIsTheUndisturbedOne()
    {
        var program = LlamaProgram.Find();
        Assert.SkipWhen(program is null, LlamaProgram.Missing);
        var port = FreePort.Next();
        var server = LlamaProgram.Start(program, new EmbeddedEngineOptions().ModelFile, port, slots: 2);
        try
        {
            await using var gateway = await UpstreamGateway.StartAsync([new Uri($"http://127.0.0.1:{port}")], "--bit-exact");
            await gateway.MemberAsync($"127.0.0.1:{port}", "alive");
            var question = new Question("Tell me a story about an owl.", MaxTokens: 200);
            await using var whole = await HttpAnswerStream.AskAsync(gateway.Client, question);
            var undisturbed = await whole.ReadToEndAsync();

            await using var stream = await HttpAnswerStream.AskAsync(gateway.Client, question);
            server.Kill();
            await server.WaitForExitAsync();
            server.Dispose();
            server = LlamaProgram.Start(program, new EmbeddedEngineOptions().ModelFile, port, slots: 2);
            var saved = await stream.ReadToEndAsync();

            Assert.Equal(undisturbed, saved);
            Assert.SkipWhen(stream.Failovers is null, "the answer was whole before its server could be lost");
            Assert.Contains("upstream-1 lost (", stream.Failovers, StringComparison.Ordinal);
        }
        finally
        {
            server.Kill();
            server.Dispose();
        }
    }

    private static async Task<StreamedChat> AskAsync(UpstreamGateway gateway, string? tools = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(
                $$"""{"messages":[{"role":"user","content":"Count!"}],"stream":true{{(tools is null ? "" : $",\"tools\":{tools}")}}}""", Encoding.UTF8, "application/json"),
        };
        using var response = await Until.DoneAsync(gateway.Client.SendAsync(request), "a whole answer", context: () => gateway.Process.Errors);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, body);
        return StreamedChat.Read(body);
    }

    /// <summary>A gateway in front of two live servers that count.</summary>
    private sealed class Pair : IAsyncDisposable
    {
        private readonly FakeUpstream[] _servers;

        private Pair(Fuse fuse, FakeUpstream[] servers, UpstreamGateway gateway) => (Fuse, _servers, Gateway) = (fuse, servers, gateway);

        public Fuse Fuse { get; }

        public UpstreamGateway Gateway { get; }

        public static async Task<Pair> StartAsync(params string[] flags)
        {
            var fuse = new Fuse();
            FakeUpstream[] servers = [await FakeUpstream.StartAsync(fuse), await FakeUpstream.StartAsync(fuse)];
            var pair = new Pair(fuse, servers, await UpstreamGateway.StartAsync(servers.Select(server => server.Url), ["--upstream-slots", "4", .. flags]));
            foreach (var server in servers)
                await pair.Gateway.MemberAsync(server.Name, "alive");
            return pair;
        }

        public async ValueTask DisposeAsync()
        {
            await Gateway.DisposeAsync();
            foreach (var server in _servers)
                await server.DisposeAsync();
        }
    }

    /// <summary>A streamed chat, read to its end.</summary>
    private sealed record StreamedChat(string Text, string? FinishReason, IReadOnlyList<string> ToolCalls, string? Failovers)
    {
        private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

        public static StreamedChat Read(string body)
        {
            var lines = body.Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal("data: [DONE]", lines[^1]);
            List<JsonNode> choices = [.. lines[..^1].Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => JsonNode.Parse(line["data: ".Length..])!["choices"]![0]!)];
            return new StreamedChat(
                string.Concat(choices.Select(choice => choice["delta"]!["content"]?.GetValue<string>())),
                choices.Select(choice => choice["finish_reason"]?.GetValue<string>()).Single(reason => reason is not null),
                [.. choices.Select(choice => choice["delta"]!["tool_calls"]?.ToJsonString(Readable)).OfType<string>()],
                lines.SingleOrDefault(line => line.StartsWith(": skein ", StringComparison.Ordinal))?[": skein ".Length..]);
        }
    }
}
