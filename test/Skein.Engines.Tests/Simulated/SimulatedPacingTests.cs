using Microsoft.Extensions.Time.Testing;
using Skein.Engines.Simulated;
using Skein.Protocol.V1;

namespace Skein.Engines.Tests.Simulated;

public class SimulatedPacingTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Generate_Paced_ReadsThePromptThenStepsAtItsRate()
    {
        await using var stream = Open(new SimulatedEngineOptions { TokensPerSecond = 50, PrefillTokensPerSecond = 100 }, maxTokens: 3);

        await stream.ExpectAfterAsync(0);
        await stream.ExpectAfterAsync(100); // 10 tokens of prompt
        await stream.ExpectAfterAsync(20);
        await stream.ExpectAfterAsync(20);
        await stream.ExpectAfterAsync(0); // the finish
    }

    [Fact]
    public async Task Hold_Paced_HasReadThePromptBeforeTheStartAndReadsOnlyWhatIsNew()
    {
        var options = new SimulatedEngineOptions { TokensPerSecond = 50, PrefillTokensPerSecond = 100 };
        var journal = Answer.Resumed(new GenerateRequest(), await Answer.FramesOf(Answer.Request(new string('x', 30), 4))).Resume;
        var continued = new TaskCompletionSource<Resume?>(); // what waits for it goes on within SetResult, up to its next wait
        await using var stream = new PacedStream(SimulatedEngineFactory.Create(options, _time), _time, maxTokens: 6, continued.Task);

        await stream.ExpectAfterAsync(100); // 10 tokens of prompt, then the start
        var next = stream.ExpectAfterAsync(0);
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.False(next.IsCompleted, "a frame came before the hold was continued");
        continued.SetResult(journal);
        _time.Advance(TimeSpan.FromMilliseconds(40)); // 4 tokens of the journal
        await next;
        await stream.ExpectAfterAsync(20);
        await stream.ExpectAfterAsync(0); // the finish
    }

    [Fact]
    public async Task Generate_Jitter_IsTheSameForTheSamePrompt()
    {
        async Task<List<double>> Steps(char letter)
        {
            await using var stream = Open(new SimulatedEngineOptions { TokensPerSecond = 1, Jitter = 0.5 }, maxTokens: 12, letter);
            await stream.ExpectAfterAsync(0);
            await stream.ExpectAfterAsync(0);
            var measured = new List<double>();
            for (var i = 1; i < 12; i++)
            {
                measured.Add(await stream.StepMsAsync());
            }

            return measured;
        }

        var steps = await Steps('a');
        Assert.Equal(steps, await Steps('a'));
        Assert.NotEqual(steps, await Steps('b'));
        Assert.All(steps, step => Assert.InRange(step, 490, 1510));
        Assert.True(steps.Max() - steps.Min() > 300);
    }

    [Fact]
    public async Task Generate_HeldUpByItsReader_CatchesUpAtMostATenthOfASecond()
    {
        await using var stream = Open(new SimulatedEngineOptions { TokensPerSecond = 50 }, maxTokens: 30);
        await stream.ExpectAfterAsync(0);
        await stream.ExpectAfterAsync(0);
        _time.Advance(TimeSpan.FromSeconds(10));

        for (var i = 0; i < 6; i++)
        {
            await stream.ExpectAfterAsync(0);
        }

        await stream.ExpectAfterAsync(20);
    }

    [Fact]
    public async Task Generate_Cancelled_Ends()
    {
        await using var stream = Open(new SimulatedEngineOptions { TokensPerSecond = 1 }, maxTokens: 3);
        await stream.ExpectAfterAsync(0);
        await stream.ExpectAfterAsync(0);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(stream.CancelAsync);
    }

    /// <summary>As the laboratory of balancing policies computes it.</summary>
    [Fact]
    public async Task Generate_Batch_StreamsShareStepsWhichTheirNumberAndPromptsMakeLonger()
    {
        await using var engine = SimulatedEngineFactory.Create(
            new SimulatedEngineOptions
            {
                Batch = new SimulatedBatchOptions { StepMs = 10, SequenceMs = 1, PrefillTokensPerSecond = 1000, ChunkTokens = 6 },
            }, _time);
        await using var first = new PacedStream(engine, _time, maxTokens: 4);
        await first.ExpectAfterAsync(0);
        await first.ExpectAfterAsync(10 + 6 + 10 + 4); // 10 tokens of prompt in two steps
        await first.ExpectAfterAsync(11);
        await using var second = new PacedStream(engine, _time, maxTokens: 2, letter: 'y');
        await second.ExpectAfterAsync(0);

        // The second one joins with the step after that which has begun: 11 ms, then two steps with its prompt.
        await second.ExpectAfterAsync(11 + (10 + 1 + 6) + (10 + 4));
        await first.ExpectAfterAsync(0);
        await first.ExpectAfterAsync(0);
        await first.ExpectAfterAsync(0); // the finish
        await second.ExpectAfterAsync(11);
        await second.ExpectAfterAsync(0);
    }

    [Fact]
    public async Task Generate_BatchWithACancelledStream_StepsGoOnWithoutIt()
    {
        await using var engine = SimulatedEngineFactory.Create(
            new SimulatedEngineOptions { Batch = new SimulatedBatchOptions { StepMs = 10, SequenceMs = 5, PrefillTokensPerSecond = 10_000 } }, _time);
        await using var gone = new PacedStream(engine, _time, maxTokens: 100);
        await using var stays = new PacedStream(engine, _time, maxTokens: 100, letter: 'y');
        await gone.ExpectAfterAsync(0);
        await stays.ExpectAfterAsync(0);
        await stays.ExpectAfterAsync(11);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(gone.CancelAsync);
        await gone.DisposeAsync();

        await stays.ExpectAfterAsync(15);
        await stays.ExpectAfterAsync(15); // 16 with the prompt of the one that is gone
    }

    private PacedStream Open(SimulatedEngineOptions options, uint maxTokens, char letter = 'x') =>
        new(SimulatedEngineFactory.Create(options, _time), _time, maxTokens, letter: letter);

    /// <summary>One stream, and the one owner of time while it is read.</summary>
    private sealed class PacedStream : IAsyncDisposable
    {
        private readonly FakeTimeProvider _time;
        private readonly CancellationTokenSource _cancel = new();
        private readonly IAsyncEnumerator<GenerateFrame> _frames;
        private bool _disposed;

        public PacedStream(IInferenceEngine engine, FakeTimeProvider time, uint maxTokens, Task<Resume?>? held = null, char letter = 'x')
        {
            _time = time;
            var request = Answer.Request(new string(letter, 30), maxTokens);
            var frames = held is null ? engine.GenerateAsync(request, _cancel.Token) : engine.GenerateStandbyAsync(request, _ => held, _cancel.Token);
            _frames = frames.GetAsyncEnumerator(_cancel.Token);
        }

        /// <summary>The next frame comes after exactly so many milliseconds.</summary>
        public async Task ExpectAfterAsync(int milliseconds)
        {
            var next = _frames.MoveNextAsync().AsTask();
            if (milliseconds > 0)
            {
                _time.Advance(TimeSpan.FromMilliseconds(milliseconds - 1));
                Assert.False(next.IsCompleted, $"a frame came before {milliseconds} ms");
                _time.Advance(TimeSpan.FromMilliseconds(1));
            }

            Assert.True(await next.WaitAsync(Deadline));
        }

        /// <summary>How many milliseconds the next frame takes.</summary>
        public async Task<double> StepMsAsync()
        {
            var start = _time.GetTimestamp();
            var next = _frames.MoveNextAsync().AsTask();
            while (!next.IsCompleted && _time.GetElapsedTime(start) < Deadline)
            {
                _time.Advance(TimeSpan.FromMilliseconds(10));
            }

            Assert.True(await next.WaitAsync(Deadline));
            return _time.GetElapsedTime(start).TotalMilliseconds;
        }

        public async Task CancelAsync()
        {
            var next = _frames.MoveNextAsync().AsTask();
            await _cancel.CancelAsync();
            await next.WaitAsync(Deadline);
        }

        public async ValueTask DisposeAsync()
        {
            if (!_disposed)
            {
                _disposed = true;
                await _frames.DisposeAsync();
                _cancel.Dispose();
            }
        }
    }
}
