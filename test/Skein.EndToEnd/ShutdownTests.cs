using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>No process is left behind, however a cluster ends.</summary>
public class ShutdownTests
{
    private static readonly string[] Small = ["--replicas", "2", "--engine", "simulated", "--tokens-per-second", "20"];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CtrlC_WithAStream_LeavesNoProcess(bool oneIsFrozen)
    {
        SkipElsewhere();
        await using var cluster = await ClusterProcess.StartAsync([.. Small, "--grace", "3s"]);
        SkipWhereDeaf(cluster.Supervisor);
        await cluster.WholeAsync();
        await using var stream = await HttpAnswerStream.AskAsync(cluster.Client, new Question("Longer than the grace", MaxTokens: 4000));
        if (oneIsFrozen)
            (await cluster.HandleOfAsync("replica-1")).Send(Signal.Freeze);

        // A terminal sends SIGINT to all processes at once.
        foreach (var member in cluster.MemberHandles.Append(cluster.Supervisor.Handle))
            member.Send(Signal.Interrupt);

        var end = await cluster.Supervisor.EndAsync();
        Assert.Equal(0, end.ExitCode);
        AssertGone(cluster);
    }

    /// <summary>Streams had five seconds: one that needed seven ended with an error.</summary>
    [Fact]
    public async Task Terminate_WithAStream_ItIsWholeAndNoProcessIsLeft()
    {
        SkipElsewhere();
        await using var cluster = await ClusterProcess.StartAsync(Small);
        await cluster.WholeAsync();
        await using var stream = await HttpAnswerStream.AskAsync(cluster.Client, new Question("Seven seconds more", MaxTokens: 160));
        await stream.ReadPiecesAsync(10);

        // systemd sends it to all processes, and a member that stopped at once would end the stream.
        foreach (var member in cluster.MemberHandles.Append(cluster.Supervisor.Handle))
            member.Send(Signal.Terminate);

        Assert.Equal(160, (await stream.ReadToEndAsync()).CompletionTokens);
        Assert.Equal(0, (await cluster.Supervisor.EndAsync()).ExitCode);
        AssertGone(cluster);
    }

    [Fact]
    public async Task Terminate_Twice_StopsWithoutWaitingForTheStream()
    {
        SkipElsewhere();
        await using var cluster = await ClusterProcess.StartAsync([.. Small, "--grace", "1h"]);
        await cluster.WholeAsync();
        await using var stream = await HttpAnswerStream.AskAsync(cluster.Client, new Question("Hours more", MaxTokens: 4000));
        await stream.ReadPiecesAsync(1);

        cluster.Supervisor.Handle.Send(Signal.Terminate);
        await cluster.Supervisor.LineAsync("stopping: streams may finish for 1h");
        cluster.Supervisor.Handle.Send(Signal.Terminate);

        Assert.Equal(0, (await cluster.Supervisor.EndAsync()).ExitCode);
        AssertGone(cluster);
    }

    [Fact]
    public async Task CtrlC_WhileStarting_EndsWithoutAWordOfFailure()
    {
        SkipElsewhere();
        await using var supervisor = SkeinProcess.Start(["up", "--port", "0", .. Small]);
        await supervisor.LineAsync("gateway-1 is up");
        SkipWhereDeaf(supervisor);

        supervisor.Handle.Send(Signal.Interrupt);

        var end = await supervisor.EndAsync();
        Assert.Equal(0, end.ExitCode);
        Assert.False(end.Errors.Contains("xception", StringComparison.Ordinal), end.Errors);
        Assert.EndsWith("no process is left", end.Errors);
    }

    [Fact]
    public async Task KillSupervisor_MembersEndByThemselves()
    {
        SkipElsewhere();
        await using var cluster = await ClusterProcess.StartAsync(Small);
        await cluster.WholeAsync();
        Assert.Equal(3, cluster.MemberHandles.Count);

        cluster.Supervisor.Handle.Send(Signal.Kill);

        await Until.TrueAsync(() => !cluster.MemberHandles.Any(member => member.IsRunning), "all members gone", context: cluster.Logs);
    }

    private static void AssertGone(ClusterProcess cluster)
    {
        Assert.Equal(3, cluster.MemberHandles.Count);
        Assert.DoesNotContain(cluster.MemberHandles, member => member.IsRunning);
    }

    private static void SkipWhereDeaf(SkeinProcess supervisor) =>
        Assert.SkipWhen(supervisor.Handle.Ignores(Signal.Interrupt), "these tests run where Ctrl-C is ignored, as in a script's background job, and so does all they start");

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
}
