using Google.Protobuf;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines.Simulated;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Simulated;

public class SimulatedFaultTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(20)] // behind the last token, before the finish
    public async Task Generate_ErrorAtAToken_HappensOnceAndTheNextAttemptGoesOn(int at)
    {
        var engine = Answer.Engine(new SimulatedEngineOptions { EnableFaults = true });
        var plain = Answer.Request("Tell me.", 20);
        var request = Faulty(plain, $$"""{"kind":"error","at":{{at}}}""");

        var (received, failure) = await ReadUntilFailureAsync(engine, request);
        var resumed = Answer.Resumed(request, received);
        resumed.Attempt = 2;
        var rest = await Answer.FramesOf(resumed, engine);

        Assert.Equal($"simulated error at token {at}", failure.Message);
        Assert.Equal(at, received.Sum(frame => (int)frame.Count));
        Assert.Equal((await Answer.Of(plain)).Text, Answer.Of([.. received, .. rest[1..]]).Text);
    }

    [Fact]
    public async Task Generate_ErrorWithoutAToken_RefusesBeforeTheStart()
    {
        var engine = Answer.Engine(new SimulatedEngineOptions { EnableFaults = true });

        var (received, failure) = await ReadUntilFailureAsync(engine, Faulty(Answer.Request("x", 5), """{"kind":"error"}"""));

        Assert.Empty(received);
        Assert.Equal(Fault.EngineFailed, failure.Fault);
    }

    [Fact]
    public async Task Generate_Crash_CallsTheActionAndFallsSilentUntilCancelled()
    {
        var crashed = new TaskCompletionSource();
        var engine = Answer.Engine(new SimulatedEngineOptions { EnableFaults = true }, crashed.SetResult);

        await ExpectSilenceAsync(engine, Faulty(Answer.Request("x", 5), """[{"kind":"crash","at":2}]"""), tokens: 2);

        Assert.True(crashed.Task.IsCompleted);
    }

    [Fact]
    public async Task Generate_Stall_FallsSilentUntilCancelled() =>
        await ExpectSilenceAsync(
            Answer.Engine(new SimulatedEngineOptions { EnableFaults = true, Faults = [new(SimulatedFaultKind.Stall, 3)] }),
            Answer.Request("x", 5),
            tokens: 3);

    [Fact]
    public async Task Generate_Slow_GoesOnAfterItsTime()
    {
        var time = new FakeTimeProvider();
        var engine = SimulatedEngineFactory.Create(new SimulatedEngineOptions { EnableFaults = true }, time);
        var request = Faulty(Answer.Request("x", 5), """{"kind":"slow","at":2,"ms":700}""");
        await using var frames = engine.GenerateAsync(request, CancellationToken.None).GetAsyncEnumerator(CancellationToken.None);
        for (var i = 0; i < 3; i++)
        {
            Assert.True(await frames.MoveNextAsync().AsTask().WaitAsync(Deadline));
        }

        var third = frames.MoveNextAsync().AsTask();
        time.Advance(TimeSpan.FromMilliseconds(699));
        Assert.False(third.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.True(await third.WaitAsync(Deadline));
        Assert.Equal(2u, frames.Current.FirstIndex);
    }

    [Theory]
    [InlineData("""{"kind":"error","at":2,"on":"replica-2"}""", 1, true)]
    [InlineData("""{"kind":"error","at":2,"on":"replica-1"}""", 1, false)]
    [InlineData("""{"kind":"error","at":2}""", 2, false)]
    [InlineData("""{"kind":"error","at":2,"attempt":2}""", 2, true)]
    [InlineData("""{"kind":"error","at":2,"attempt":0}""", 7, true)]
    [InlineData("""{"kind":"error","at":6}""", 1, false)] // the answer has five tokens
    public async Task Generate_Fault_HappensWhereItIsMeantTo(string fault, uint attempt, bool happens)
    {
        var engine = Answer.Engine(new SimulatedEngineOptions { EnableFaults = true, ReplicaName = "replica-2" });
        var request = Faulty(Answer.Request("x", 5), fault);
        request.Attempt = attempt;

        var failure = await Record.ExceptionAsync(() => Answer.FramesOf(request, engine));

        Assert.Equal(happens, failure is FaultException { Fault: Fault.EngineFailed });
    }

    [Theory]
    [InlineData("null")]
    [InlineData("5")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("""{"kind":"explode"}""")]
    [InlineData("""{"kind":7}""")]
    [InlineData("""{"kind":"stall","at":-1}""")]
    [InlineData("""{"kind":"slow","ms":0}""")]
    [InlineData("""{"kind":"stall","when":1}""")]
    [InlineData("[null]")]
    public async Task Generate_FaultAskedForWrongly_IsRefused(string fault)
    {
        var engine = Answer.Engine(new SimulatedEngineOptions { EnableFaults = true });

        var refusal = await Assert.ThrowsAsync<FaultException>(() => Answer.FramesOf(Faulty(Answer.Request("x", 5), fault), engine));

        Assert.Equal(Fault.InvalidRequest, refusal.Fault);
        Assert.StartsWith("skein_fault has another form; allowed: ", refusal.Message);
    }

    private static GenerateRequest Faulty(GenerateRequest request, string fault)
    {
        var faulty = request.Clone();
        faulty.Extra.Add(new RawMember { Name = "skein_fault", Json = ByteString.CopyFromUtf8(fault) });
        return faulty;
    }

    private static async Task<(List<GenerateFrame> Received, FaultException Failure)> ReadUntilFailureAsync(
        IInferenceEngine engine, GenerateRequest request)
    {
        var received = new List<GenerateFrame>();
        var failure = await Assert.ThrowsAsync<FaultException>(async () =>
        {
            await foreach (var frame in engine.GenerateAsync(request, TestContext.Current.CancellationToken))
            {
                received.Add(frame);
            }
        });
        return (received, failure);
    }

    private static async Task ExpectSilenceAsync(IInferenceEngine engine, GenerateRequest request, int tokens)
    {
        using var cancel = new CancellationTokenSource();
        await using var frames = engine.GenerateAsync(request, cancel.Token).GetAsyncEnumerator(cancel.Token);
        for (var i = 0; i < 1 + tokens; i++)
        {
            Assert.True(await frames.MoveNextAsync().AsTask().WaitAsync(Deadline));
        }

        var silent = frames.MoveNextAsync().AsTask();
        Assert.False(silent.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => silent.WaitAsync(Deadline));
    }
}
