using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Protocol;
using Skein.Serving.Grpc;
using Skein.Serving;

namespace Skein.Serving.Tests;

public sealed class EngineLivenessMonitorTests : IDisposable
{
    private static readonly EngineHostOptions Options = new();
    private readonly FakeTimeProvider _time = new();
    private readonly SlotTable _slots = new(generation: 1, TimeProvider.System);
    private readonly List<TaskCompletionSource> _questions = [];
    private readonly KeptLog _log = new();
    private readonly ProcessLateness _lateness;
    private readonly EngineLivenessMonitor _watch;

    public EngineLivenessMonitorTests()
    {
        // Continuations run inside SetResult, so that an answer was processed when it returns.
        var engine = new ScriptedEngine
        {
            Check = async cancelled =>
            {
                _questions.Add(new TaskCompletionSource());
                await _questions[^1].Task.WaitAsync(cancelled);
            },
        };
        _lateness = new ProcessLateness(_time, TimeSpan.FromMilliseconds(200));
        _watch = new EngineLivenessMonitor(engine, "scripted engine", _slots, Options.EngineTimeout, _time, _log, _lateness);
        _slots.SetSlots(1);
        _slots.TryTake("", queue: null, out _);
    }

    [Fact]
    public async Task Tick_NoAnswer_IsLostAfterTheTimeout()
    {
        var lost = _watch.Lost;
        await TickAsync(3);
        Assert.False(_watch.IsLost);

        await TickAsync(1);

        Assert.True(_watch.IsLost && lost.IsCancellationRequested);
        Assert.Equal(3, _questions.Count);
    }

    [Fact]
    public async Task Tick_ThisProcessDidNotRun_IsNoSilenceOfTheEngine()
    {
        await TickAsync(3);
        _time.Advance(TimeSpan.FromSeconds(10));
        await TickAsync(3);
        Assert.False(_watch.IsLost);

        await TickAsync(2);

        Assert.True(_watch.IsLost);
    }

    [Fact]
    public async Task Tick_EveryAnswerIsLateButWithinTheTimeout_IsNotLost()
    {
        for (var round = 0; round < 10; round++)
        {
            var first = _questions.Count;
            await TickAsync(3);
            _questions[first].SetResult();
            await TickAsync(1);
        }

        Assert.False(_watch.IsLost);
    }

    [Fact]
    public async Task Tick_OneStreamStillSpeaks_IsNotLost()
    {
        for (var tick = 0; tick < 20; tick++)
        {
            await TickAsync(1);
            if (tick % 3 == 2)
            {
                _watch.Spoke();
            }
        }

        Assert.False(_watch.IsLost);
    }

    [Theory]
    [InlineData(Fault.EngineFailed, false)]
    [InlineData(Fault.ModelNotFound, false)]
    [InlineData(Fault.Unreachable, true)]
    [InlineData(Fault.ConnectionLost, true)]
    [InlineData(Fault.EngineTimedOut, true)]
    public async Task Tick_AnswersAreErrors_OnlyNobodyThereIsNoAnswer(Fault error, bool isLost)
    {
        await TickAndAnswerAsync(4, () => new FaultException(error, "no"));

        Assert.Equal(isLost, _watch.IsLost);
        Assert.Empty(_log.Failures);
    }

    /// <summary>Engines may come from third parties. A timeout of an engine's own client counts as silence.</summary>
    [Theory]
    [InlineData(typeof(InvalidOperationException), false)]
    [InlineData(typeof(TaskCanceledException), true)]
    [InlineData(typeof(TimeoutException), true)]
    public async Task Tick_CheckThrowsWhatNoEngineMay_IsLoggedOnceUntilTheNextAnswer(Type failure, bool isLost)
    {
        await TickAndAnswerAsync(6, () => (Exception)Activator.CreateInstance(failure)!);

        Assert.Equal(isLost, _watch.IsLost);
        Assert.IsType(failure, Assert.Single(_log.Failures));

        await TickAndAnswerAsync(6, () => null);
        await TickAndAnswerAsync(6, () => (Exception)Activator.CreateInstance(failure)!);

        Assert.Equal(2, _log.Failures.Count);
    }

    [Fact]
    public async Task Tick_LostAndIdle_IsAskedOnAndBackWithTheFirstAnswer()
    {
        await TickAsync(4);
        var before = _watch.Lost;
        await TickAsync(5);
        Assert.Equal(8, _questions.Count);
        Assert.True(_watch.IsLost);

        _questions[^1].SetResult();

        Assert.False(_watch.IsLost || _watch.Lost.IsCancellationRequested);
        Assert.True(before.IsCancellationRequested);
    }

    public void Dispose()
    {
        _slots.Dispose();
    }

    /// <param name="ticks">How many.</param>
    /// <param name="answer">The exception of each check; null: it succeeds.</param>
    private async Task TickAndAnswerAsync(int ticks, Func<Exception?> answer)
    {
        for (; ticks > 0; ticks--)
        {
            var asked = _questions.Count;
            await TickAsync(1);
            if (_questions.Count == asked)
            {
                continue;
            }

            if (answer() is { } exception)
            {
                _questions[^1].SetException(exception);
            }
            else
            {
                _questions[^1].SetResult();
            }
        }
    }

    private async Task TickAsync(int ticks)
    {
        for (; ticks > 0; ticks--)
        {
            // In steps: a jump of the clock is a process that did not run.
            for (var step = 0; step < 10; step++)
                _time.Advance(Options.EngineTimeout / EngineLivenessTracker.MostUnanswered / 10);
            await _watch.TickAsync(TestContext.Current.CancellationToken);
        }
    }

    private sealed class KeptLog : ILogger<EngineLivenessMonitor>
    {
        /// <summary>The exceptions of the log lines that have one.</summary>
        public List<Exception> Failures { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not null)
            {
                Failures.Add(exception);
            }
        }
    }
}
