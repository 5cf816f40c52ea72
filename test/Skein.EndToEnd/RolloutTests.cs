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
        await using ClusterProcess cluster = await ClusterProcess.StartAsync(Three);
        IReadOnlyList<MemberRow> before = await cluster.WholeAsync();
        (Question, Answer)[] expected = await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
        {
            var question = new Question($"Question {i}", MaxTokens: 60, Temperature: i % 2, Seed: i);
            await using HttpAnswerStream stream = await HttpAnswerStream.AskAsync(cluster.Client, question);
            return (question, await stream.ReadToEndAsync());
        }));
        await using var load = new ConstantLoad(cluster.Client, expected, clients: 12);

        RunResult first = await RolloutAsync(cluster, "--revision", "r2", "--calm", "1s", "--json");
        int answers = await load.EndAsync();

        Assert.True(first.ExitCode == 0, $"{first.Output}\n{first.Errors}\n{cluster.Tell()}");
        // Each of three was drained, with streams of 0.6 s on it: fewer would mean that the load stood still.
        Assert.True(answers > 30, $"only {answers} answers");
        Assert.All(ReplicasOf(first), replica => Assert.Equal("updated", replica["outcome"]!.GetValue<string>()));
        IReadOnlyList<MemberRow> after = await cluster.WholeAsync();
        foreach (MemberRow replica in after.Where(row => row.Role == "replica"))
        {
            Assert.Equal(("r2", false), (replica.Revision, replica.Draining));
            Assert.True(replica.Generation > before.Single(row => row.Name == replica.Name).Generation);
        }

        RunResult again = await RolloutAsync(cluster, "--revision", "r2", "--json");
        Assert.Equal(0, again.ExitCode);
        Assert.All(ReplicasOf(again), replica => Assert.Equal("skipped", replica["outcome"]!.GetValue<string>()));
        Assert.Equal(after.Select(row => row.Pid), (await cluster.MembersAsync()).Select(row => row.Pid));
    }

    [Fact]
    public async Task Rollout_CommandThatFails_StopsRollsBackAndLeavesTheOthers()
    {
        SkipElsewhere();
        string log = Path.Combine(Path.GetTempPath(), $"skein-rollback-{Guid.NewGuid():N}");
        await using ClusterProcess cluster = await ClusterProcess.StartAsync(Three);
        try
        {
            IReadOnlyList<MemberRow> before = await cluster.WholeAsync();

            RunResult end = await RolloutAsync(
                cluster, "--revision", "r2", "--command", "sh -c 'echo no such unit >&2; exit 5' {name}", "--rollback-command", $"sh -c 'echo \"$1 $2\" >> {log}' sh {{name}} {{revision}}", "--json");

            Assert.Equal(1, end.ExitCode);
            Assert.Equal("skein: the rollout stopped: replica-1: 'sh' ended with code 5: no such unit; run it again to go on", end.ErrorLines[^1]);
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
        await using SkeinProcess gateway = SkeinProcess.Start("gateway", "--http", "0", "--grpc", "0", "--gossip", "0");
        string up = await gateway.LineAsync("is up: HTTP on ");
        string seed = up.Split("gossip on ")[1].Split(';')[0];
        string http = up.Split("HTTP on ")[1].Split(',')[0];
        using var client = new HttpClient { BaseAddress = new Uri(http) };
        await using SkeinProcess replica = SkeinProcess.Start("replica", "--engine", "simulated", "--name", "lonely", "--revision", "r1", "--grpc", "0", "--gossip", "0", "--join", seed);
        await Until.FoundAsync(
            async () => (await client.GetStringAsync("/admin/v1/members")).Contains("\"lonely\"", StringComparison.Ordinal) ? "there" : null, "the replica in the group", Until.StartPatience, () => replica.Errors);

        RunResult refused = await SkeinProcess.RunAsync("rollout", "--gateway", http, "--revision", "r2");

        Assert.Equal(2, refused.ExitCode);
        Assert.Equal(
            "skein: --command is missing: lonely does not run under 'skein up', so it cannot restart itself; allowed: a command with {name} in it", refused.Errors);
        JsonNode row = JsonNode.Parse(await client.GetStringAsync("/admin/v1/replicas/lonely"))!;
        Assert.False(row["draining"]!.GetValue<bool>());
    }

    private static async Task<RunResult> RolloutAsync(ClusterProcess cluster, params string[] arguments)
    {
        await using SkeinProcess rollout = SkeinProcess.Start(["rollout", "--gateway", cluster.Http.ToString(), .. arguments]);
        return await rollout.EndAsync(TimeSpan.FromMinutes(3));
    }

    private static IEnumerable<JsonNode> ReplicasOf(RunResult end) => JsonNode.Parse(end.Output)!["replicas"]!.AsArray().Select(replica => replica!);

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
}
