using Grpc.Core;
using Skein.Engines.Simulated;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public class SlotTests
{
    [Fact]
    public async Task Generate_MoreThanTheSlots_IsRefusedWithTheLoadAsDetail()
    {
        var stalls = new SimulatedEngineOptions { EnableFaults = true, Faults = [new(SimulatedFaultKind.Stall, At: 0)] };
        await using var engine = SimulatedEngineFactory.Create(stalls, TimeProvider.System);
        await using var replica = await TestReplica.StartAsync(engine, new ReplicaOptions { Slots = 2, Generation = 7 });
        using var first = replica.Generate(new GenerateRequest { Text = "1", Caller = "gateway-1" });
        using var second = replica.Generate(new GenerateRequest { Text = "2", Caller = "gateway-2" });
        await first.NextAsync();
        await second.NextAsync();

        using var third = replica.Generate(new GenerateRequest { Text = "3", Caller = "gateway-2" });
        var refusal = await third.FailureAsync();

        Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
        var load = refusal.GetRpcStatus()?.GetDetail<SlotRefusal>()?.Load;
        Assert.NotNull(load);
        Assert.Equal((7ul, 2u, 2u, 1u), (load.Generation, load.Slots, load.Running, load.RunningForCaller));
    }

    [Fact]
    public async Task Generate_Finished_HasFreedItsSlotBeforeTheLastFrame()
    {
        var engine = new ScriptedEngine { Slots = 1 };
        await using var replica = await TestReplica.StartAsync(engine);
        for (var i = 0; i < 50; i++)
        {
            engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.FinishFrame);
            using var call = replica.Generate(new GenerateRequest { Caller = "gateway-1" });
            var start = await call.NextAsync();
            var finish = await call.NextAsync();

            Assert.Equal((1u, 1u), (start.Load.Running, start.Load.RunningForCaller));
            Assert.Equal((0u, 0u), (finish.Load.Running, finish.Load.RunningForCaller));
            Assert.True(finish.Load.Sequence > start.Load.Sequence);
        }
    }

    [Fact]
    public async Task Generate_CallerCancels_StopsTheEngineAndFreesTheSlot()
    {
        var engine = new ScriptedEngine { Slots = 1 };
        await using var replica = await TestReplica.StartAsync(engine);
        using var cancel = new CancellationTokenSource();
        using var call = replica.Generate(cancellationToken: cancel.Token);
        engine.Say(ScriptedEngine.StartFrame);
        await call.NextAsync();

        await cancel.CancelAsync();

        await engine.Stopped.WaitAsync(TestReplica.Deadline);
        await replica.Control.WhenIdleAsync(replica.Token);
        Assert.Equal(0u, replica.Control.Report().Running);
    }

    [Fact]
    public async Task Generate_ConnectionCut_StopsTheEngine()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        using var call = replica.Generate();
        engine.Say(ScriptedEngine.StartFrame);
        await call.NextAsync();

        await replica.AbortAsync();

        Assert.NotEqual(StatusCode.OK, (await call.FailureAsync()).StatusCode);
        await engine.Stopped.WaitAsync(TestReplica.Deadline);
    }

    [Fact]
    public async Task Generate_EngineFails_FreesTheSlot()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        engine.End(new InvalidOperationException());
        using var call = replica.Generate();

        await call.FailureAsync();

        Assert.Equal(0u, replica.Control.Report().Running);
    }

    [Theory]
    [InlineData(null, null, 64u)]
    [InlineData(null, 5, 5u)]
    [InlineData(3, 5, 3u)]
    public async Task Describe_Slots_AreTheOptionsElseTheEnginesElseSixtyFour(int? configured, int? engines, uint expected)
    {
        await using var replica = await TestReplica.StartAsync(new ScriptedEngine { Slots = engines }, new ReplicaOptions { Slots = configured });

        var description = await replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: replica.Token);

        Assert.Equal(expected, description.Load.Slots);
        Assert.Equal("scripted", description.Engine);
        Assert.Equal("m", Assert.Single(description.Models).Name);
    }
}
