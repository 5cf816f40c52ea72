using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary><c>skein rollout</c> with real processes.</summary>
public class RolloutTests
{
    private static readonly string[] Three = ["--replicas", "3", "--engine", "simulated", "--tokens-per-second", "100", "--restart-delay", "200ms"];

    [Fact]
    public async Task Rollout_UnderUpWithConstantLoad_LosesNoRequestAndNoText()
    {
        SkipElsewhere();
        await using var cluster = await ClusterProcess.StartAsync(Three);
        var before = await cluster.WholeAsync();
        await using var load = await LoadAsync(cluster.Client);

        var first = await RolloutAsync(cluster.Http, "--revision", "r2", "--error-window", "1s", "--json");
        var answers = await load.EndAsync();

        Assert.True(first.ExitCode == 0, $"{first.Output}\n{first.Errors}\n{cluster.Logs()}");
        // Each of the three replicas was drained with streams of 0.6 s on it. Fewer answers would mean that the load had stopped.
        Assert.True(answers > 30, $"only {answers} answers");
        Assert.All(ReplicasOf(first), replica => Assert.Equal("updated", replica["outcome"]!.GetValue<string>()));
        var after = await cluster.WholeAsync();
        foreach (var replica in after.Where(row => row.Role == "replica"))
        {
            Assert.Equal(("r2", false), (replica.Revision, replica.Draining));
            Assert.True(replica.Generation > before.Single(row => row.Name == replica.Name).Generation);
        }

        var again = await RolloutAsync(cluster.Http, "--revision", "r2", "--json");
        Assert.Equal(0, again.ExitCode);
        Assert.All(ReplicasOf(again), replica => Assert.Equal("skipped", replica["outcome"]!.GetValue<string>()));
        Assert.Equal(after.Select(row => row.Pid), (await cluster.MembersAsync()).Select(row => row.Pid));
    }

    [Fact]
    public async Task Rollout_CommandThatFails_StopsRollsBackAndLeavesTheOthers()
    {
        SkipElsewhere();
        var log = Path.Combine(Path.GetTempPath(), $"skein-rollback-{Guid.NewGuid():N}");
        await using var cluster = await ClusterProcess.StartAsync(Three);
        try
        {
            var before = await cluster.WholeAsync();

            var end = await RolloutAsync(
                cluster.Http, "--revision", "r2", "--command", "sh -c 'echo no such unit >&2; exit 5' {name}", "--rollback-command", $"sh -c 'echo \"$1 $2\" >> {log}' sh {{name}} {{revision}}", "--json");

            Assert.Equal(1, end.ExitCode);
            Assert.Equal("skein: the rollout stopped: replica-1: 'sh' ended with code 5: no such unit; run it again to continue", end.ErrorLines[^1]);
            Assert.Equal(["rolled_back", "waiting", "waiting"], ReplicasOf(end).Select(replica => replica["outcome"]!.GetValue<string>()));
            Assert.Equal("replica-1 r2\n", await File.ReadAllTextAsync(log));
            Assert.Equal(before.Select(row => row.Pid), (await cluster.MembersAsync()).Select(row => row.Pid));
        }
        finally
        {
            File.Delete(log);
        }
    }

    [Fact]
    public async Task Rollout_ReplicaThatNobodySupervises_NeedsACommandAndIsNotTouched()
    {
        SkipElsewhere();
        await using var gateway = SkeinProcess.Start("gateway", "--http", "0", "--grpc", "0", "--gossip", "0");
        var up = await gateway.LineAsync("is up: HTTP on ");
        var seed = up.Split("gossip on ")[1].Split(';')[0];
        var http = up.Split("HTTP on ")[1].Split(',')[0];
        using var client = new HttpClient { BaseAddress = new Uri(http) };
        await using var replica = SkeinProcess.Start("replica", "--engine", "simulated", "--name", "lonely", "--revision", "r1", "--grpc", "0", "--gossip", "0", "--join", seed);
        await Until.FoundAsync(
            async () => (await client.GetStringAsync("/admin/v1/members")).Contains("\"lonely\"", StringComparison.Ordinal) ? "there" : null, "the replica in the group", Until.StartTimeout, () => replica.Errors);

        var refused = await SkeinProcess.RunAsync("rollout", "--gateway", http, "--revision", "r2");

        Assert.Equal(2, refused.ExitCode);
        Assert.Equal(
            "skein: --command is missing: lonely does not run under 'skein up', so it cannot restart itself; allowed: a command with {name} in it", refused.Errors);
        var row = JsonNode.Parse(await client.GetStringAsync("/admin/v1/replicas/lonely"))!;
        Assert.False(row["draining"]!.GetValue<bool>());
    }

    /// <summary>As with systemd: the command stops the process, and its supervisor starts the new one.</summary>
    [Fact]
    public async Task Rollout_CommandThatRestarts_UpdatesAllAndLosesNoText()
    {
        SkipElsewhere();
        var pids = Directory.CreateTempSubdirectory();
        await using var cluster = await LooseCluster.StartAsync(["one", "two"], ["--tokens-per-second", "100", "--revision", "r1"]);
        try
        {
            foreach ((var name, var replica) in cluster.Replicas)
                await File.WriteAllTextAsync(Path.Combine(pids.FullName, name), $"{replica.Handle.Pid}");
            await using var load = await LoadAsync(cluster.Client);
            var restarts = Task.WhenAll(cluster.Replicas.Select(async replica =>
            {
                var end = await replica.Value.EndAsync(TimeSpan.FromMinutes(3));
                cluster.StartReplica(replica.Key, "--tokens-per-second", "100", "--revision", "r2");
                return end.ExitCode;
            }));

            var rollout = await RolloutAsync(
                cluster.Client.BaseAddress!, "--revision", "r2", "--error-window", "1s", "--json", "--command", $"sh -c 'kill -TERM $(cat \"$2/$1\")' sh {{name}} {pids.FullName}");
            var answers = await load.EndAsync();

            Assert.True(rollout.ExitCode == 0, $"{rollout.Output}\n{rollout.Errors}\n{cluster.Logs()}");
            Assert.Equal(["updated", "updated"], ReplicasOf(rollout).Select(replica => replica["outcome"]!.GetValue<string>()));
            Assert.All(await restarts, static code => Assert.Equal(0, code));
            Assert.True(answers > 30, $"only {answers} answers");
            Assert.Equal(["r2", "r2"], (await cluster.MembersAsync()).Where(row => row.Role == "replica").Select(row => row.Revision));
        }
        finally
        {
            pids.Delete(recursive: true);
        }
    }

    /// <summary>Clients that compare every text with the undisturbed one.</summary>
    private static async Task<ConstantLoad> LoadAsync(HttpClient client)
    {
        (Question, Answer)[] expected = await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
        {
            var question = new Question($"Question {i}", MaxTokens: 60, Temperature: i % 2, Seed: i);
            await using var stream = await HttpAnswerStream.AskAsync(client, question);
            return (question, await stream.ReadToEndAsync());
        }));
        return new ConstantLoad(client, expected, clients: 12);
    }

    private static async Task<RunResult> RolloutAsync(Uri gateway, params string[] arguments)
    {
        await using var rollout = SkeinProcess.Start(["rollout", "--gateway", gateway.ToString(), .. arguments]);
        return await rollout.EndAsync(TimeSpan.FromMinutes(3));
    }

    private static IEnumerable<JsonNode> ReplicasOf(RunResult end) => JsonNode.Parse(end.Output)!["replicas"]!.AsArray().Select(replica => replica!);

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
}
