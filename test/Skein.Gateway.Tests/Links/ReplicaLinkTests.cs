using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Gateway.Links;
using Skein.Gateway.Links.Bus;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Links;

/// <summary>One attempt per test or many, over each kind of link.</summary>
public abstract class ReplicaLinkTests(LinkKind kind)
{
    [Fact]
    public async Task Generate_ManyShortAndLongAtOnce_EachGetsWhatTheEngineSays()
    {
        const int Streams = 200;
        await using var engine = SimulatedEngineFactory.Create(
            new SimulatedEngineOptions { TokensPerSecond = 2000, Slots = Streams, ContextTokens = 1 << 20 }, TimeProvider.System);
        await using var world = await LinkWorld.StartAsync(kind, engine);
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
        await using var world = await LinkWorld.StartAsync(kind, engine);
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
    [InlineData(Fault.InvalidRequest)]
    [InlineData(Fault.Unsupported)]
    [InlineData(Fault.ContextLengthExceeded)]
    [InlineData(Fault.ResumeRefused)]
    [InlineData(Fault.ModelNotFound)]
    [InlineData(Fault.EngineFailed)]
    public async Task Generate_EngineFails_EndsThatAttemptBehindItsTokens(Fault fault)
    {
        var engine = new KeyedEngine();
        await using var world = await LinkWorld.StartAsync(kind, engine);
        await using var failing = world.Read("failing");
        await using var other = world.Read("other");
        engine.Of("failing").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        engine.Of("failing").End(new FaultException(fault, "the message"));

        Assert.NotNull((await failing.NextAsync()).Start);
        Assert.Equal(1u, (await failing.NextAsync()).Count);
        var end = await Assert.ThrowsAsync<FaultException>(failing.NextAsync);

        Assert.Equal((fault, "the message"), (end.Fault, end.Message));
        engine.Of("other").Say(KeyedEngine.Start, KeyedEngine.Finish);
        Assert.NotNull((await other.RestAsync())[^1].Finish);
    }

    [Fact]
    public async Task Generate_NoSlotAndDraining_AreDistinctFaults()
    {
        var engine = new KeyedEngine { Slots = 1 };
        await using var world = await LinkWorld.StartAsync(kind, engine);
        await using var first = world.Read("first");
        engine.Of("first").Say(KeyedEngine.Start);
        await first.NextAsync();

        var full = await Assert.ThrowsAsync<FaultException>(() => world.Read("second").NextAsync());
        world.Control.Drain();
        var draining = await Assert.ThrowsAsync<FaultException>(() => world.Read("third").NextAsync());

        Assert.Equal((Fault.NoSlot, 1u), (full.Fault, full.Load!.Running));
        Assert.Equal(Fault.Draining, draining.Fault);
    }

    [Fact]
    public async Task Generate_SessionThatDoesNotRead_PausesItsEngineAloneAndMissesNothing()
    {
        const int Tokens = 5000;
        var engine = new KeyedEngine();
        await using var world = await LinkWorld.StartAsync(kind, engine);
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

        // The frames that may be in transit: the window (of a call: that of HTTP/2), a merged frame, the replica's own queue.
        Assert.InRange(engine.Of("slow").Said, 1, kind == LinkKind.Call ? 2500 : 1000);
        var slowly = await slow.RestAsync();
        Assert.Equal(Enumerable.Range(0, Tokens).Select(index => (uint)index), quickly.SelectMany(frame => frame.TokenIds));
        Assert.Equal(Enumerable.Range(0, Tokens).Select(index => (uint)index), slowly.SelectMany(frame => frame.TokenIds));
        Assert.NotNull(slowly[^1].Finish);
    }

    [Fact]
    public async Task Generate_CancelledBeforeItStarts_NeverReachesTheReplica()
    {
        await using var world = await LinkWorld.StartAsync(kind, new KeyedEngine());

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => world.Read("x", new CancellationToken(canceled: true)).NextAsync());

        Assert.Equal(0u, world.Control.Report().Running);
    }
}

/// <summary>What is particular to links with a connection.</summary>
public abstract class RemoteLinkTests(LinkKind kind) : ReplicaLinkTests(kind)
{
    private readonly LinkKind _kind = kind;

    [Fact]
    public async Task Generate_SilentEngine_BeatsWithAttemptAndChoice()
    {
        var time = new FakeTimeProvider();
        var engine = new KeyedEngine();
        await using var world = await LinkWorld.StartAsync(_kind, engine, time: time);
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
}

public sealed class CallLinkTests() : RemoteLinkTests(LinkKind.Call);

public sealed class InProcessLinkTests() : ReplicaLinkTests(LinkKind.InProcess);
