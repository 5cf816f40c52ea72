using System.Net.Http.Json;
using System.Text.Json;
using Skein.EndToEnd.Support;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary>SIGTERM, as systemd and Kubernetes send it, with a stream in flight. Members of their own, without a supervisor.</summary>
public class TerminateTests
{
    private static readonly Question Short = new("How does it end?", MaxTokens: 60);

    [Fact]
    public async Task Terminate_Replica_StreamIsWholeAndItLeaves()
    {
        SkipElsewhere();
        await using Trio trio = await Trio.StartAsync();
        Answer undisturbed = await AskToEndAsync(trio);
        await using HttpAnswerStream stream = await HttpAnswerStream.AskAsync(trio.Client, Short);
        await stream.ReadPiecesAsync(3);

        SkeinProcess serving = trio.Replicas[stream.Replica];
        serving.Life.Send(Signal.Terminate);

        Assert.Equal(undisturbed, await stream.ReadToEndAsync());
        Assert.Equal(0, (await serving.EndAsync()).ExitCode);
        await Until.FoundAsync(
            async () => (await trio.MembersAsync()).SingleOrDefault(row => row.Name == stream.Replica && row.State == "left"), $"{stream.Replica} has said goodbye");
    }

    [Fact]
    public async Task Terminate_Gateway_StopsAcceptingFinishesAndExits0()
    {
        SkipElsewhere();
        await using Trio trio = await Trio.StartAsync();
        Answer undisturbed = await AskToEndAsync(trio);
        await using HttpAnswerStream stream = await HttpAnswerStream.AskAsync(trio.Client, Short);
        await stream.ReadPiecesAsync(3);

        trio.Gateway.Life.Send(Signal.Terminate);

        await Until.FoundAsync(() => IsRefusedAsync(trio.Client.BaseAddress!), "a newcomer is refused");
        Assert.Equal(undisturbed, await stream.ReadToEndAsync());
        Assert.Equal(0, (await trio.Gateway.EndAsync()).ExitCode);
    }

    private static async Task<Answer> AskToEndAsync(Trio trio)
    {
        await using HttpAnswerStream stream = await HttpAnswerStream.AskAsync(trio.Client, Short);
        return await stream.ReadToEndAsync();
    }

    private static async Task<string?> IsRefusedAsync(Uri address)
    {
        using var newcomer = new HttpClient { BaseAddress = address };
        try
        {
            await newcomer.GetStringAsync("/livez");
            return null;
        }
        catch (HttpRequestException)
        {
            return "refused";
        }
    }

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");

    /// <summary>A gateway, and two replicas that serve 20 tokens a second: on a busy machine a single one may be taken for dead for a moment.</summary>
    private sealed record Trio(SkeinProcess Gateway, IReadOnlyDictionary<string, SkeinProcess> Replicas, HttpClient Client) : IAsyncDisposable
    {
        public static async Task<Trio> StartAsync()
        {
            SkeinProcess gateway = SkeinProcess.Start("gateway", "--http", "0", "--grpc", "0", "--gossip", "0", "--expected-replicas", "2");
            string up = await gateway.LineAsync("is up: HTTP on ");
            string seed = up.Split("gossip on ")[1].Split(';')[0];
            var client = new HttpClient { BaseAddress = new Uri(up.Split("HTTP on ")[1].Split(',')[0]), Timeout = Timeout.InfiniteTimeSpan };
            Dictionary<string, SkeinProcess> replicas = new[] { "one", "two" }.ToDictionary(name => name, name => SkeinProcess.Start(
                "replica", "--name", name, "--engine", "simulated", "--tokens-per-second", "20", "--grpc", "0", "--gossip", "0", "--join", seed));
            var trio = new Trio(gateway, replicas, client);
            await Until.FoundAsync(
                async () => (await client.GetAsync("/readyz")).IsSuccessStatusCode ? "ready" : null, "the gateway is ready", context: () => $"{gateway.Errors}\n{replicas["one"].Errors}");
            return trio;
        }

        public async Task<MemberRow[]> MembersAsync() => await Client.GetFromJsonAsync<MemberRow[]>("/admin/v1/members", JsonSerializerOptions.Web) ?? [];

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Gateway.DisposeAsync();
            foreach (SkeinProcess replica in Replicas.Values)
                await replica.DisposeAsync();
        }
    }
}
