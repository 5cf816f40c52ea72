using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Gateway.Links.Bus;
using Skein.Gateway.Links;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using Skein.Serving.Grpc;

namespace Skein.Gateway.Tests.Links;

/// <summary>Broken connections, which only this kind of link has.</summary>
public sealed class BusReplicaLinkTests() : RemoteLinkTests(LinkKind.Bus)
{
    [Fact]
    public async Task Generate_ReplicaDies_AllAttemptsAreLostAtOnceAndTheNextBusIsNew()
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        AttemptReader[] readers = [.. Enumerable.Range(0, 20).Select(index => world.Read($"{index}"))];
        for (var index = 0; index < readers.Length; index++)
        {
            engine.Of($"{index}").Say(KeyedEngine.Start);
            await readers[index].NextAsync();
        }

        await world.KillAsync();
        var ends = await Task.WhenAll(readers.Select(reader => Assert.ThrowsAsync<FaultException>(reader.RestAsync)));
        // The first attempts may still use the connection that is breaking.
        while ((await Assert.ThrowsAsync<FaultException>(() => world.Read("nobody").NextAsync())).Fault != Fault.Unreachable)
            world.Token.ThrowIfCancellationRequested();
        var longOne = await Assert.ThrowsAsync<FaultException>(() => world.Read(new string('x', BusReplicaLink.MostRequestBytes)).NextAsync());
        Assert.Equal(Fault.Unreachable, longOne.Fault);
        await world.RestartAsync(engine);
        engine.Of("after").Say(KeyedEngine.Start, KeyedEngine.Finish);

        Assert.All(ends, end => Assert.Equal(Fault.ConnectionLost, end.Fault));
        Assert.NotNull((await ReadOnceReachableAsync(world, "after"))[^1].Finish);
    }

    [Fact]
    public async Task Generate_ReplicaStops_RunningAttemptsFinishAndTheIdleBusHoldsNothingUp()
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine, new ReplicaOptions { StopTimeout = TimeSpan.FromHours(1) });
        await using var running = world.Read("running");
        engine.Of("running").Say(KeyedEngine.Start);
        await running.NextAsync();

        var stopping = world.App.StopAsync();
        var late = await Assert.ThrowsAsync<FaultException>(() => world.Read("late").NextAsync());
        Assert.False(stopping.IsCompleted);
        engine.Of("running").Say(KeyedEngine.Token(0), KeyedEngine.Finish);
        var rest = await running.RestAsync();
        await stopping.WaitAsync(LinkWorld.Deadline);

        Assert.Equal(Fault.Draining, late.Fault);
        Assert.NotNull(rest[^1].Finish);
    }

    /// <summary>The connection may still be in its last failed attempt, or in the pause after it.</summary>
    private static async Task<List<GenerateFrame>> ReadOnceReachableAsync(BusWorld world, string prompt)
    {
        while (true)
        {
            try
            {
                return await world.Read(prompt).RestAsync();
            }
            catch (FaultException end) when (end.Fault == Fault.Unreachable)
            {
                world.Token.ThrowIfCancellationRequested();
            }
        }
    }
}
