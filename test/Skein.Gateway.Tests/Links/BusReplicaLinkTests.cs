using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

public sealed class BusReplicaLinkTests
{
    [Fact]
    public async Task Generate_ManyShortAndLongAtOnce_EachGetsWhatTheEngineSays()
    {
        const int Streams = 200;
        await using var engine = SimulatedEngineFactory.Create(
            new SimulatedEngineOptions { TokensPerSecond = 2000, Slots = Streams, ContextTokens = 1 << 20 }, TimeProvider.System);
        await using var world = await BusWorld.StartAsync(engine);
        GenerateRequest[] requests = [.. Enumerable.Range(0, Streams).Select(index => new GenerateRequest
        {
            Text = index % 50 == 0 ? new string('x', BusReplicaLink.MostRequestBytes + index) : $"prompt {index}",
            MaxTokens = 40,
            Sampling = new Sampling { Seed = (ulong)index },
            Attempt = (uint)index + 1,
        })];

        var answers = await Task.WhenAll(requests.Select(request => world.Read(request).RestAsync()));

        for (var index = 0; index < Streams; index++)
        {
            var expected = new List<GenerateFrame>();
            await foreach (var frame in engine.GenerateAsync(requests[index], world.Token))
                expected.Add(frame);
            Assert.Equal(expected.SelectMany(frame => frame.TokenIds), answers[index].SelectMany(frame => frame.TokenIds));
            Assert.Equal(expected.SelectMany(frame => frame.Text), answers[index].SelectMany(frame => frame.Text));
            Assert.Equal(expected[^1].Finish, answers[index][^1].Finish);
            Assert.All(answers[index], frame => Assert.Equal((requests[index].Attempt, 0ul), (frame.Attempt, frame.Stream)));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Generate_SessionThatGoesAway_StopsItsEngineAndNoOther(bool byToken)
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        using var client = new CancellationTokenSource();
        var leaving = world.Read("leaving", client.Token);
        await using var staying = world.Read("staying");
        engine.Of("leaving").Say(KeyedEngine.Start);
        engine.Of("staying").Say(KeyedEngine.Start);
        await leaving.NextAsync();
        await staying.NextAsync();

        if (byToken)
        {
            var waiting = leaving.NextAsync();
            await client.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }
        await leaving.DisposeAsync();

        await engine.Of("leaving").Stopped;
        engine.Of("staying").Say(KeyedEngine.Token(0), KeyedEngine.Finish);
        Assert.NotNull((await staying.RestAsync())[^1].Finish);
    }

    [Theory]
    [InlineData(EngineError.InvalidRequest, LinkError.InvalidRequest)]
    [InlineData(EngineError.Unsupported, LinkError.InvalidRequest)]
    [InlineData(EngineError.ContextLengthExceeded, LinkError.ContextLengthExceeded)]
    [InlineData(EngineError.ResumeRefused, LinkError.ResumeRefused)]
    [InlineData(EngineError.ModelNotFound, LinkError.ModelNotFound)]
    [InlineData(EngineError.Failed, LinkError.EngineFailed)]
    public async Task Generate_EngineFails_EndsThatAttemptBehindItsTokens(EngineError error, LinkError expected)
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        await using var failing = world.Read("failing");
        await using var other = world.Read("other");
        engine.Of("failing").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        engine.Of("failing").End(new EngineException(error, "the message"));

        Assert.NotNull((await failing.NextAsync()).Start);
        Assert.Equal(1u, (await failing.NextAsync()).Count);
        var end = await Assert.ThrowsAsync<LinkException>(failing.NextAsync);

        Assert.Equal((expected, "the message"), (end.Error, end.Message));
        engine.Of("other").Say(KeyedEngine.Start, KeyedEngine.Finish);
        Assert.NotNull((await other.RestAsync())[^1].Finish);
    }

    [Fact]
    public async Task Generate_NoSlotAndDraining_AreToldAsSuch()
    {
        var engine = new KeyedEngine { Slots = 1 };
        await using var world = await BusWorld.StartAsync(engine);
        await using var first = world.Read("first");
        engine.Of("first").Say(KeyedEngine.Start);
        await first.NextAsync();

        var full = await Assert.ThrowsAsync<LinkException>(() => world.Read("second").NextAsync());
        world.App.Control.Drain();
        var draining = await Assert.ThrowsAsync<LinkException>(() => world.Read("third").NextAsync());

        Assert.Equal((LinkError.NoSlot, 1u), (full.Error, full.Load!.Running));
        Assert.Equal(LinkError.Draining, draining.Error);
    }

    [Fact]
    public async Task Generate_ReplicaDies_AllAttemptsAreLostAtOnceAndTheNextBusIsNew()
    {
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        BusReader[] readers = [.. Enumerable.Range(0, 20).Select(index => world.Read($"{index}"))];
        for (var index = 0; index < readers.Length; index++)
        {
            engine.Of($"{index}").Say(KeyedEngine.Start);
            await readers[index].NextAsync();
        }

        await world.KillAsync();
        var ends = await Task.WhenAll(readers.Select(reader => Assert.ThrowsAsync<LinkException>(reader.RestAsync)));
        // The first ones may still meet the connection that is just breaking.
        while ((await Assert.ThrowsAsync<LinkException>(() => world.Read("nobody").NextAsync())).Error != LinkError.Unreachable)
            world.Token.ThrowIfCancellationRequested();
        var longOne = await Assert.ThrowsAsync<LinkException>(() => world.Read(new string('x', BusReplicaLink.MostRequestBytes)).NextAsync());
        Assert.Equal(LinkError.Unreachable, longOne.Error);
        await world.RestartAsync(engine);
        engine.Of("after").Say(KeyedEngine.Start, KeyedEngine.Finish);

        Assert.All(ends, end => Assert.Equal(LinkError.ConnectionLost, end.Error));
        Assert.NotNull((await ReadOnceReachableAsync(world, "after"))[^1].Finish);
    }

    [Fact]
    public async Task Generate_SessionThatDoesNotRead_PausesItsEngineAloneAndMissesNothing()
    {
        const int Tokens = 5000;
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine);
        await using var slow = world.Read("slow");
        await using var quick = world.Read("quick");
        foreach (var prompt in new[] { "slow", "quick" })
        {
            engine.Of(prompt).Say(KeyedEngine.Start);
            for (uint index = 0; index < Tokens; index++)
                engine.Of(prompt).Say(KeyedEngine.Token(index, textBytes: 1000));
            engine.Of(prompt).Say(KeyedEngine.Finish);
        }
        await slow.NextAsync();

        var quickly = await quick.RestAsync();

        // What may be under way: the window, a joined frame, the replica's own queue.
        Assert.InRange(engine.Of("slow").Said, 1, 1000);
        var slowly = await slow.RestAsync();
        Assert.Equal(Enumerable.Range(0, Tokens).Select(index => (uint)index), quickly.SelectMany(frame => frame.TokenIds));
        Assert.Equal(Enumerable.Range(0, Tokens).Select(index => (uint)index), slowly.SelectMany(frame => frame.TokenIds));
        Assert.NotNull(slowly[^1].Finish);
    }

    [Fact]
    public async Task Generate_SilentEngine_BeatsWithAttemptAndChoice()
    {
        var time = new FakeTimeProvider();
        var engine = new KeyedEngine();
        await using var world = await BusWorld.StartAsync(engine, time: time);
        await using var reader = world.Read(new GenerateRequest { Text = "silent", Attempt = 3, Choice = 2 });
        engine.Of("silent").Say(KeyedEngine.Start);
        await reader.NextAsync();

        for (var beat = 0; beat < 3; beat++)
        {
            var next = reader.NextOrBeatAsync();
            while (!next.IsCompleted)
            {
                time.Advance(TimeSpan.FromMilliseconds(250));
                await world.Link.ProbeAsync(world.Replica, world.Token);
            }
            Assert.Equal(new GenerateFrame { Attempt = 3, Choice = 2 }, await next);
        }
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
        var late = await Assert.ThrowsAsync<LinkException>(() => world.Read("late").NextAsync());
        Assert.False(stopping.IsCompleted);
        engine.Of("running").Say(KeyedEngine.Token(0), KeyedEngine.Finish);
        var rest = await running.RestAsync();
        await stopping.WaitAsync(GatewaySide.Deadline);

        Assert.Equal(LinkError.Draining, late.Error);
        Assert.NotNull(rest[^1].Finish);
    }

    [Fact]
    public async Task Generate_CancelledBeforeItStarts_NeverReachesTheBus()
    {
        await using var world = await BusWorld.StartAsync(new KeyedEngine());

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => world.Read("x", new CancellationToken(canceled: true)).NextAsync());

        Assert.Equal(0u, world.App.Control.Report().Running);
    }

    /// <summary>The connection may still be in the pause after its last vain attempt, or in that attempt.</summary>
    private static async Task<List<GenerateFrame>> ReadOnceReachableAsync(BusWorld world, string prompt)
    {
        while (true)
        {
            try
            {
                return await world.Read(prompt).RestAsync();
            }
            catch (LinkException end) when (end.Error == LinkError.Unreachable)
            {
                world.Token.ThrowIfCancellationRequested();
            }
        }
    }
}
