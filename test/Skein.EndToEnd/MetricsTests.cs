using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;
using static Skein.EndToEnd.Support.Metric;

namespace Skein.EndToEnd;

/// <summary>The metrics of a gateway, from its first second on.</summary>
public class MetricsTests
{
    [Fact]
    public async Task Metrics_FromTheStart_CountWhatHappens()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
        await using var cluster = await ClusterProcess.StartAsync("--replicas", "2", "--engine", "simulated", "--tokens-per-second", "40");
        await cluster.WholeAsync();

        var atStart = await cluster.Client.GetStringAsync("/metrics");
        Assert.Equal(2, Sum(atStart, "skein_members", "role=\"replica\"", "state=\"alive\""));
        Assert.Equal(1, Sum(atStart, "skein_members", "role=\"gateway\"", "state=\"alive\""));
        Assert.Equal(0, Sum(atStart, "skein_failovers"));
        Assert.Equal(0, Sum(atStart, "skein_queue_depth"));
        var handles = await cluster.HandlesAsync();

        await using var stream = await HttpAnswerStream.AskAsync(cluster.Client, new Question("Count this", MaxTokens: 40));
        await stream.ReadPiecesAsync(5);
        handles[stream.Replica].Send(Signal.Kill);
        await stream.ReadToEndAsync();

        // A scrape may be answered from a cache that is a few hundred milliseconds old.
        var after = await Until.FoundAsync(
            async () => await cluster.Client.GetStringAsync("/metrics") is { } text && Sum(text, "skein_failovers") == 1 ? text : null, "one failover counted");
        Assert.Equal(1, Sum(after, "gen_ai_server_time_to_first_token_seconds_count"));
        Assert.Equal((1, 1), (Sum(after, "skein_streams"), Sum(after, "skein_streams", "resume_tier=\"exact\"")));
    }

    [Fact]
    public async Task Endpoints_ReadyCluster_Answer()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
        await using var cluster = await ClusterProcess.StartAsync("--replicas", "1", "--engine", "simulated", "--restart-delay", "1h");
        await cluster.WholeAsync();

        Assert.Equal("alive\n", await cluster.Client.GetStringAsync("/livez"));
        Assert.StartsWith("ready (", await cluster.Client.GetStringAsync("/readyz"), StringComparison.Ordinal);
        var models = JsonNode.Parse(await cluster.Client.GetStringAsync("/v1/models"))!;
        Assert.Equal("simulated", Assert.Single(models["data"]!.AsArray())!["id"]!.GetValue<string>());

        (await cluster.HandleOfAsync("replica-1")).Send(Signal.Kill);

        await Until.FoundAsync(
            async () =>
            {
                using var ready = await cluster.Client.GetAsync("/readyz");
                return (int)ready.StatusCode == 503 ? "not ready" : null;
            },
            "503 of /readyz once the only replica is gone");
        Assert.Equal("alive\n", await cluster.Client.GetStringAsync("/livez"));
    }
}
