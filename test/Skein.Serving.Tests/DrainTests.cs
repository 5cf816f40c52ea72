using Google.Rpc;
using Grpc.Core;
using Grpc.Health.V1;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving.Tests;

public class DrainTests
{
    [Fact]
    public async Task Drain_RunningStreamFinishes_NewWorkIsRefused()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var running = replica.Generate();
        engine.Say(ScriptedEngine.StartFrame);
        await running.NextAsync();

        replica.Control.Drain();
        using var late = replica.Generate();
        var refusal = await late.FailureAsync();
        var idle = replica.Control.WhenIdleAsync(replica.Token);
        Assert.False(idle.IsCompleted);
        engine.Say(ScriptedEngine.Token(0), ScriptedEngine.FinishFrame);
        var rest = await running.RestAsync();
        await idle;

        Assert.Equal(StatusCode.Unavailable, refusal.StatusCode);
        Assert.Equal("DRAINING", refusal.GetRpcStatus()?.GetDetail<ErrorInfo>()?.Reason);
        Assert.True(refusal.GetRpcStatus()?.GetDetail<LoadReport>()?.Draining);
        Assert.Equal(1, rest.Sum(frame => (int)frame.Count));
        Assert.True(rest[^1].Load.Draining);
    }

    [Fact]
    public async Task Undrain_NewWorkIsTakenAgain()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        replica.Control.Drain();
        replica.Control.Undrain();
        engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.FinishFrame);
        using var call = replica.Generate();

        Assert.NotNull((await call.RestAsync())[^1].Finish);
    }

    [Fact]
    public async Task Health_FollowsTheDrain()
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine());
        var health = new Health.HealthClient(replica.Channel);

        var before = await health.CheckAsync(new HealthCheckRequest(), cancellationToken: replica.Token);
        replica.Control.Drain();
        var after = await health.CheckAsync(new HealthCheckRequest(), cancellationToken: replica.Token);

        Assert.Equal(HealthCheckResponse.Types.ServingStatus.Serving, before.Status);
        Assert.Equal(HealthCheckResponse.Types.ServingStatus.NotServing, after.Status);
    }

    [Fact]
    public async Task Stop_RunningStream_FinishesFirst()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var running = replica.Generate();
        engine.Say(ScriptedEngine.StartFrame);
        await running.NextAsync();

        var stopping = replica.App.StopAsync(replica.Token);
        engine.Say(ScriptedEngine.Token(0), ScriptedEngine.FinishFrame);

        Assert.NotNull((await running.RestAsync())[^1].Finish);
        await stopping;
    }
}
