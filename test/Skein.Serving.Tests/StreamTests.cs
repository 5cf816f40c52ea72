using Grpc.Core;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.Simulated;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public class StreamTests
{
    [Fact]
    public async Task Generate_EveryFrame_CarriesAttemptAndChoice()
    {
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine);
        engine.Say(ScriptedEngine.StartFrame, ScriptedEngine.Token(0), ScriptedEngine.Token(1), ScriptedEngine.FinishFrame);
        using var call = replica.Generate(new GenerateRequest { Attempt = 3, Choice = 2 });

        var frames = await call.RestAsync();

        Assert.All(frames, frame => Assert.Equal((3u, 2u), (frame.Attempt, frame.Choice)));
        Assert.NotNull(frames[0].Start);
        Assert.NotNull(frames[0].Load);
        Assert.NotNull(frames[^1].Finish);
        Assert.NotNull(frames[^1].Load);
        Assert.Equal([0u, 1u], frames.SelectMany(frame => frame.TokenIds));
    }

    [Fact]
    public async Task Generate_ThroughTheReplica_SaysWhatTheEngineSays()
    {
        await using var engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions(), TimeProvider.System);
        await using var replica = await TestReplica.StartAsync(engine);
        var request = new GenerateRequest { Text = "Tell me.", MaxTokens = 2000, Sampling = new Sampling { Seed = 1 }, Logprobs = 1 };
        var expected = new List<GenerateFrame>();
        await foreach (var frame in engine.GenerateAsync(request, replica.Token))
        {
            expected.Add(frame);
        }

        using var call = replica.Generate(request);
        var received = await call.RestAsync();

        Assert.Equal(Text(expected), Text(received));
        Assert.Equal(expected.SelectMany(frame => frame.TokenIds), received.SelectMany(frame => frame.TokenIds));
        Assert.Equal(expected.SelectMany(frame => frame.Logprobs), received.SelectMany(frame => frame.Logprobs));
        Assert.Equal(expected[^1].Finish, received[^1].Finish);
    }

    [Fact]
    public async Task Generate_ManyStreamsOnOneConnection_AllFinish()
    {
        const int Streams = 300;
        await using var engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions { TokensPerSecond = 500, Slots = Streams }, TimeProvider.System);
        await using var replica = await TestReplica.StartAsync(engine);
        var calls = Enumerable.Range(0, Streams).Select(i => replica.Generate(new GenerateRequest { Text = $"{i}", MaxTokens = 50 })).ToList();

        var answers = await Task.WhenAll(calls.Select(call => call.RestAsync()));

        Assert.All(answers, frames => Assert.Equal(50, frames.Sum(frame => (int)frame.Count)));
        Assert.All(answers, frames => Assert.NotNull(frames[^1].Finish));
        Assert.Equal(0u, replica.Control.Report().Running);
        calls.ForEach(call => call.Dispose());
    }

    [Fact]
    public async Task Generate_SilentEngine_SendsHeartbeatsUntilItSpeaksAgain()
    {
        var time = new FakeTimeProvider();
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine, new ReplicaOptions { WriteTimeout = TimeSpan.FromHours(1) }, time);
        using var call = replica.Generate(new GenerateRequest { Attempt = 1, Choice = 4 });
        engine.Say(ScriptedEngine.StartFrame);
        await call.NextAsync();

        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(new GenerateFrame { Attempt = 1, Choice = 4 }, await AdvanceUntilAsync(replica, time, call.NextOrBeatAsync()));
        }

        engine.Say(ScriptedEngine.Token(0), ScriptedEngine.FinishFrame);
        var rest = await call.RestAsync();
        Assert.Equal([0u], rest.SelectMany(frame => frame.TokenIds));
        Assert.NotNull(rest[^1].Finish);
    }

    [Fact]
    public async Task Generate_CallerThatNeverReads_IsAbortedAfterTheWriteTimeout()
    {
        var time = new FakeTimeProvider();
        var engine = new ScriptedEngine();
        await using var replica = await TestReplica.StartAsync(engine, time: time);
        using var call = replica.Generate();
        engine.Say(ScriptedEngine.StartFrame);
        await call.NextAsync();
        var large = new string('x', 100_000);
        for (var i = 0u; i < 500; i++)
        {
            engine.Say(ScriptedEngine.Token(i, large));
        }

        await AdvanceUntilAsync(replica, time, replica.Control.WhenIdleAsync(replica.Token).ContinueWith(_ => true, TaskScheduler.Default));

        Assert.True(engine.Stopped.IsCompleted);
        await call.FailureAsync();
    }

    [Fact]
    public async Task Generate_LongPrompt_IsTakenUpToTheLimit()
    {
        await using var engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions { ContextTokens = 1 << 24 }, TimeProvider.System);
        await using var replica = await TestReplica.StartAsync(engine);
        using var fits = replica.Generate(new GenerateRequest { Text = new string('x', 20_000_000), MaxTokens = 1 });
        using var tooLong = replica.Generate(new GenerateRequest { Text = new string('x', 34_000_000), MaxTokens = 1 });

        var frames = await fits.RestAsync();
        Assert.Equal(6_666_667u, frames.Single(frame => frame.Start is not null).Start.PromptTokens);
        var refusal = await tooLong.FailureAsync();
        Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
        Assert.Null(RpcExceptionExtensions.GetRpcStatus(refusal)?.GetDetail<SlotRefusal>());
    }

    // A tick does not count while a write is ending, so time advances until the stream has noticed. The call in between keeps virtual
    // time from running hours ahead of real work such as a write.
    private static async Task<T> AdvanceUntilAsync<T>(TestReplica replica, FakeTimeProvider time, Task<T> awaited)
    {
        while (!awaited.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(125));
            await replica.Client.DescribeAsync(new DescribeRequest(), cancellationToken: replica.Token);
        }

        return await awaited;
    }

    private static string Text(IEnumerable<GenerateFrame> frames) => Encoding.UTF8.GetString([.. frames.SelectMany(frame => frame.Text)]);
}
