using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>SIGTERM, as systemd and Kubernetes send it, with a stream in flight. Members of their own, without a supervisor.</summary>
public class TerminateTests
{
    private static readonly Question Short = new("How does it end?", MaxTokens: 60);

    [Fact]
    public async Task Terminate_Replica_DrainsAndLeaves()
    {
        SkipElsewhere();
        await using Pair pair = await Pair.StartAsync();
        await using HttpAnswerStream stream = await HttpAnswerStream.AskAsync(pair.Client, Short);
        await stream.ReadPiecesAsync(3);

        pair.Replica.Life.Send(Signal.Terminate);

        Answer answer = await stream.ReadToEndAsync();
        Assert.Equal(("length", 60), (answer.FinishReason, answer.CompletionTokens));
        Assert.Null(stream.Failovers);
        Assert.Equal(0, (await pair.Replica.EndAsync()).ExitCode);
        await Until.FoundAsync(async () => (await pair.Client.GetStringAsync("/admin/v1/members")).Contains("\"left\"", StringComparison.Ordinal) ? "left" : null, "the replica said goodbye");
    }

    [Fact]
    public async Task Terminate_Gateway_StopsAcceptingFinishesAndExits0()
    {
        SkipElsewhere();
        await using Pair pair = await Pair.StartAsync();
        await using HttpAnswerStream stream = await HttpAnswerStream.AskAsync(pair.Client, Short);
        await stream.ReadPiecesAsync(3);

        pair.Gateway.Life.Send(Signal.Terminate);

        await Until.FoundAsync(
            async () =>
            {
                try
                {
                    using var newcomer = new HttpClient { BaseAddress = pair.Client.BaseAddress };
                    await newcomer.GetStringAsync("/livez");
                    return null;
                }
                catch (HttpRequestException)
                {
                    return "refused";
                }
            },
            "a newcomer is refused");
        Answer answer = await stream.ReadToEndAsync();
        Assert.Equal(("length", 60), (answer.FinishReason, answer.CompletionTokens));
        Assert.Equal(0, (await pair.Gateway.EndAsync()).ExitCode);
    }

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");

    /// <summary>A gateway and a replica that serves 20 tokens a second.</summary>
    private sealed record Pair(SkeinProcess Gateway, SkeinProcess Replica, HttpClient Client) : IAsyncDisposable
    {
        public static async Task<Pair> StartAsync()
        {
            SkeinProcess gateway = SkeinProcess.Start("gateway", "--http", "0", "--grpc", "0", "--gossip", "0");
            string up = await gateway.LineAsync("is up: HTTP on ");
            string seed = up.Split("gossip on ")[1].Split(';')[0];
            var client = new HttpClient { BaseAddress = new Uri(up.Split("HTTP on ")[1].Split(',')[0]), Timeout = Timeout.InfiniteTimeSpan };
            SkeinProcess replica = SkeinProcess.Start("replica", "--engine", "simulated", "--tokens-per-second", "20", "--grpc", "0", "--gossip", "0", "--join", seed);
            var pair = new Pair(gateway, replica, client);
            await Until.FoundAsync(async () => (await client.GetAsync("/readyz")).IsSuccessStatusCode ? "ready" : null, "the gateway is ready", context: () => replica.Errors);
            return pair;
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Gateway.DisposeAsync();
            await Replica.DisposeAsync();
        }
    }
}
