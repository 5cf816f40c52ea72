using Grpc.Core;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests.Admin;

public class ReplicaAdminTests
{
    [Fact]
    public async Task Drain_RunningStream_IsReportedAndContinues()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        var admin = new ReplicaAdmin.ReplicaAdminClient(replica.Channel);
        using var running = replica.Generate();
        engine.Say(ScriptedEngine.StartFrame);
        await running.NextAsync();

        var first = await admin.DrainAsync(new DrainRequest { GraceMs = 60_000 }, cancellationToken: replica.Token);
        var again = await admin.DrainAsync(new DrainRequest { GraceMs = 60_000 }, cancellationToken: replica.Token);

        Assert.Equal((true, false), (first.Changed, again.Changed));
        Assert.Equal((1u, true), (again.Load.Running, again.Load.Draining));
        Assert.InRange(again.GraceLeftMs, 1u, 60_000u);
        using var late = replica.Generate();
        Assert.Equal(StatusCode.Unavailable, (await late.FailureAsync()).StatusCode);

        engine.Say(ScriptedEngine.Token(0), ScriptedEngine.FinishFrame);
        Assert.NotNull((await running.RestAsync())[^1].Finish);
        await replica.Control.WhenIdleAsync(replica.Token);
        Assert.Equal(0u, (await admin.GetDrainAsync(new GetDrainRequest(), cancellationToken: replica.Token)).Load.Running);
    }

    [Fact]
    public async Task Undrain_TakesWorkAgain()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        var admin = new ReplicaAdmin.ReplicaAdminClient(replica.Channel);
        await admin.DrainAsync(new DrainRequest(), cancellationToken: replica.Token);

        var first = await admin.UndrainAsync(new UndrainRequest(), cancellationToken: replica.Token);
        var again = await admin.UndrainAsync(new UndrainRequest(), cancellationToken: replica.Token);

        Assert.Equal((true, false, false), (first.Changed, again.Changed, again.Load.Draining));
        engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.FinishFrame);
        using var call = replica.Generate();
        Assert.NotNull((await call.RestAsync())[^1].Finish);
    }

    [Fact]
    public async Task Drain_GraceOfTwoDays_IsRefused()
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine());

        var refusal = await Assert.ThrowsAsync<RpcException>(async () =>
            await new ReplicaAdmin.ReplicaAdminClient(replica.Channel).DrainAsync(new DrainRequest { GraceMs = 172_800_000 }, cancellationToken: replica.Token));

        Assert.Equal((StatusCode.InvalidArgument, "grace_ms is 172800000; allowed: 0 to 86400000"), (refusal.StatusCode, refusal.Status.Detail));
        Assert.False(replica.Control.IsDraining);
    }

    [Theory]
    [InlineData("r2", false, StatusCode.FailedPrecondition)]
    [InlineData("--engine=x", true, StatusCode.InvalidArgument)]
    [InlineData("r2\nready {}", true, StatusCode.InvalidArgument)]
    public async Task Restart_NotPossible_IsRefused(string revision, bool isSupervised, StatusCode status)
    {
        string? asked = null;
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine(), new ReplicaOptions { Restart = isSupervised ? revision => asked = revision : null });

        var refusal = await Assert.ThrowsAsync<RpcException>(async () =>
            await new ReplicaAdmin.ReplicaAdminClient(replica.Channel).RestartAsync(new RestartRequest { Revision = revision }, cancellationToken: replica.Token));

        Assert.Equal(status, refusal.StatusCode);
        Assert.Null(asked);
    }

    [Fact]
    public async Task Restart_UnderASupervisor_IsPassedOn()
    {
        var asked = new TaskCompletionSource<string>();
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine(), new ReplicaOptions { Restart = asked.SetResult });
        var admin = new ReplicaAdmin.ReplicaAdminClient(replica.Channel);

        await admin.RestartAsync(new RestartRequest { Revision = "r2" }, cancellationToken: replica.Token);

        Assert.Equal("r2", await asked.Task.WaitAsync(replica.Token));
        Assert.True((await admin.GetDrainAsync(new GetDrainRequest(), cancellationToken: replica.Token)).Restartable);
    }
}
