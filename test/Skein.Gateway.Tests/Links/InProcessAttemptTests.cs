using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using Skein.Serving;

namespace Skein.Gateway.Tests.Links;

/// <summary>What is particular to attempts inside the process.</summary>
public sealed class InProcessAttemptTests
{
    [Fact]
    public async Task Read_FramesThatAreThereAtOnce_ComeAsOneFrame()
    {
        var engine = new KeyedEngine();
        await using var world = await StartAsync(engine);
        await using var reader = world.Read("burst");
        engine.Of("burst").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1), KeyedEngine.Token(2), KeyedEngine.Finish);

        Assert.NotNull((await reader.NextAsync()).Start);
        var tokens = await reader.NextAsync();

        Assert.Equal([0u, 1u, 2u], tokens.TokenIds);
        Assert.NotNull(tokens.Finish);
        Assert.Equal(0u, tokens.Load.Running);
    }

    [Fact]
    public async Task Read_ErrorBehindTokensThatAreThereAtOnce_ComesAfterThem()
    {
        var engine = new KeyedEngine();
        await using var world = await StartAsync(engine);
        await using var reader = world.Read("failing");
        engine.Of("failing").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1));
        engine.Of("failing").End(new FaultException(Fault.ConnectionLost, "gone"));

        Assert.NotNull((await reader.NextAsync()).Start);
        Assert.Equal(2u, (await reader.NextAsync()).Count);
        Assert.Equal(Fault.ConnectionLost, (await Assert.ThrowsAsync<FaultException>(reader.NextAsync)).Fault);
        Assert.Equal(0u, world.Control.Report().Running);
    }

    [Fact]
    public async Task Read_SessionThatReadsNothing_LeavesTheEngineUnread()
    {
        var engine = new KeyedEngine();
        await using var world = await StartAsync(engine);
        await using var reader = world.Read("slow");
        engine.Of("slow").Say(KeyedEngine.Start);
        for (uint index = 0; index < 1000; index++)
            engine.Of("slow").Say(KeyedEngine.Token(index));

        await reader.NextAsync();

        // The start frame, and the token that did not fit into its frame.
        Assert.Equal(2, engine.Of("slow").Said);
    }

    /// <summary>A session decides on a hand-over between two frames: without heartbeats a drain never moved a stream that had stopped.</summary>
    [Fact]
    public async Task Read_EngineIsSilent_SendsHeartbeatsAndThenEveryToken()
    {
        var time = new FakeTimeProvider();
        var engine = new KeyedEngine();
        await using var world = await LinkWorld.StartAsync(LinkKind.InProcess, engine, time: time);
        await using var reader = world.Read("silent");
        engine.Of("silent").Say(KeyedEngine.Start);
        await reader.NextAsync();

        for (var beats = 0; beats < 3; beats++)
        {
            var beat = reader.NextOrBeatAsync();
            time.Advance(TimeSpan.FromMilliseconds(250));
            Assert.False(beat.IsCompleted);
            time.Advance(TimeSpan.FromMilliseconds(250));
            var frame = await beat;
            Assert.Equal((1u, 0u, null), (frame.Attempt, frame.Count, frame.Start));
        }
        engine.Of("silent").Say(KeyedEngine.Token(0), KeyedEngine.Finish);

        var rest = await reader.RestAsync();
        Assert.Equal([0u], rest.SelectMany(frame => frame.TokenIds));
        Assert.NotNull(rest[^1].Finish);
    }

    /// <summary>A third-party engine may ignore its cancellation token for a while. Neither the client nor its session waits for it.</summary>
    [Fact]
    public async Task Cancel_EngineThatDoesNotListen_EndsTheReadAtOnceAndFreesTheSlotOnceItStops()
    {
        var time = new FakeTimeProvider();
        var release = new TaskCompletionSource<GenerateFrame>();
        await using var engine = new DeafEngine(release.Task);
        await using var world = await LinkWorld.StartAsync(LinkKind.InProcess, engine, time: time);
        using var client = new CancellationTokenSource();
        var reader = world.Read("deaf", client.Token);
        var reading = reader.NextAsync();
        Assert.False(reading.IsCompleted);

        await client.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
        var leaving = reader.DisposeAsync().AsTask();
        while (!leaving.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }
        Assert.Equal(1u, world.Control.Report().Running);
        release.SetResult(KeyedEngine.Start);
        await world.Control.WhenIdleAsync(world.Token);
    }

    [Fact]
    public async Task Generate_FrozenEngine_StreamIsLostAndNoWorkIsTakenUntilItAnswers()
    {
        var time = new FakeTimeProvider();
        var engine = new KeyedEngine { Check = cancelled => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancelled) };
        await using var world = await LinkWorld.StartAsync(LinkKind.InProcess, engine, time: time);
        await using var reader = world.Read("frozen");
        engine.Of("frozen").Say(KeyedEngine.Start);
        await reader.NextAsync();

        var lost = Assert.ThrowsAsync<FaultException>(reader.NextAsync);
        while (!lost.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }
        Assert.Equal(Fault.ConnectionLost, (await lost).Fault);
        Assert.Equal(Fault.Unreachable, (await Assert.ThrowsAsync<FaultException>(() => world.Read("next").NextAsync())).Fault);

        engine.Check = _ => Task.CompletedTask;
        engine.Of("after").Say(KeyedEngine.Start, KeyedEngine.Finish);
        while (((InProcessWorld)world).Host.IsEngineLost)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Yield();
        }
        Assert.NotNull((await world.Read("after").RestAsync())[^1].Finish);
    }

    private static Task<LinkWorld> StartAsync(IInferenceEngine engine) => LinkWorld.StartAsync(LinkKind.InProcess, engine);

    private sealed class DeafEngine(Task<GenerateFrame> frame) : IInferenceEngine
    {
        public string Kind => "deaf";

        public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
            ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = "m" }], Slots: 1));

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
            GenerateRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            yield return await frame;
            cancellationToken.ThrowIfCancellationRequested();
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
