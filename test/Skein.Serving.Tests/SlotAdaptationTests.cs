using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Serving.Tests;

public sealed class SlotAdaptationTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly RecordingLogger _log = new();
    private readonly SlotTable _slots;
    private readonly SlotAdaptation _adaptation;

    public SlotAdaptationTests()
    {
        _slots = new SlotTable(generation: 1, _time);
        _slots.SetSlots(AdaptiveSlots.Initial);
        _adaptation = new SlotAdaptation(_slots, "openai engine", _time, _log);
    }

    public void Dispose() => _slots.Dispose();

    [Fact]
    public void EndedWithoutFinish_AnotherOneBeganLater_OneSlotAndSaysWhy()
    {
        Take(2);
        var first = _adaptation.Begin();
        _adaptation.Begin();

        first.EndedWithoutFinish();

        Assert.Equal(1, _slots.Slots);
        Assert.Equal(1u, _slots.Report().Slots);
        Assert.Contains("1 slots now instead of 64: a request was ended by the next one", Assert.Single(_log.Lines), StringComparison.Ordinal);
    }

    [Fact]
    public void EndedWithoutFinish_NothingBeganLater_IsAFaultOfTheStreamAlone()
    {
        Take(2);
        _adaptation.Begin();
        var second = _adaptation.Begin();

        second.EndedWithoutFinish();

        Assert.Equal(64, _slots.Slots);
    }

    [Fact]
    public void EndedWithoutFinish_RunsAlone_IsAFaultOfTheStreamAlone()
    {
        Take(1);
        var first = _adaptation.Begin();
        _adaptation.Begin();

        first.EndedWithoutFinish();

        Assert.Equal(64, _slots.Slots);
    }

    [Fact]
    public void Tick_AllSlotsWereInUse_GrowsAndIsLoggedAtMostEveryTenSeconds()
    {
        var changes = 0;
        _slots.SlotsChanged += () => changes++;
        for (var second = 0; second < 12; second++)
        {
            Take(_slots.Slots - _slots.Running);
            _time.Advance(TimeSpan.FromSeconds(1));
            _adaptation.Tick(waiting: 0);
        }

        Assert.Equal((12, true), (changes, _slots.Slots > 64 * 12));
        Assert.Equal(2, _log.Lines.Count);
    }

    [Theory]
    [InlineData(null, null, true)]
    [InlineData(null, 3, false)]
    [InlineData(5, null, false)]
    public async Task StartAsync_NeitherOptionsNorEngineGiveANumber_Adapts(int? option, int? own, bool isAdaptive)
    {
        await using var engine = new ScriptedEngine { Slots = own };
        using var logs = new LoggerFactory();
        using var host = new EngineHost(engine, new EngineHostOptions { Slots = option }, _time, logs);

        await host.StartAsync(TestContext.Current.CancellationToken);

        Assert.Equal((isAdaptive, option ?? own ?? 64), (host.HasAdaptiveSlots, host.Control.Slots));
    }

    /// <summary>As llama-cpp-python: the second request ends the first, whose stream then ends without a finish_reason.</summary>
    [Fact]
    public async Task Run_SecondRequestEndsTheFirst_OneSlot()
    {
        await using var engine = new InterruptingEngine();
        using var logs = new LoggerFactory();
        using var host = new EngineHost(engine, new EngineHostOptions(), _time, logs);
        await host.StartAsync(TestContext.Current.CancellationToken);
        await using var first = host.Begin(new GenerateRequest()).ReadAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        await using var second = host.Begin(new GenerateRequest()).ReadAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        Assert.True(await first.MoveNextAsync());
        Assert.True(await second.MoveNextAsync());

        await Assert.ThrowsAsync<Protocol.FaultException>(async () => await first.MoveNextAsync());

        Assert.Equal(1, host.Control.Slots);
    }

    private void Take(int count)
    {
        for (var i = 0; i < count; i++)
        {
            Assert.Equal(SlotAnswer.Granted, _slots.TryTake("g", queue: null, out _));
        }
    }

    private sealed class RecordingLogger : ILogger<SlotAdaptation>
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add(formatter(state, exception));
    }

    private sealed class InterruptingEngine : IInferenceEngine
    {
        private int _begun;

        public string Kind => "openai";

        public ValueTask<EngineDescription> DescribeAsync(CancellationToken cancellationToken) =>
            ValueTask.FromResult(new EngineDescription([new ModelDescription { Name = "m" }], Slots: null));

        public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
            GenerateRequest request, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
        {
            var number = ++_begun;
            yield return ScriptedEngine.StartFrame;
            await Task.Yield();
            if (number < _begun)
                throw new Protocol.FaultException(Protocol.Fault.NoFinish, "the stream ended without a finish_reason");

            yield return ScriptedEngine.FinishFrame;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
