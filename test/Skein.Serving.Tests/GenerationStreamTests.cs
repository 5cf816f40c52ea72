using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Serving.Tests;

public sealed class GenerationStreamTests : IAsyncDisposable
{
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(30);
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedEngine _engine = new();
    private readonly GatedWriter _writer = new();
    private readonly SlotTable _slots = new(generation: 1, TimeProvider.System);
    private readonly CancellationTokenSource _gone = new();
    private readonly EngineLivenessMonitor _engineLivenessMonitor;
    private readonly GenerationStream _stream;
    private int _aborts;

    public GenerationStreamTests()
    {
        _engineLivenessMonitor = new EngineLivenessMonitor(_engine, _slots, new ReplicaOptions(), _time, NullLogger<EngineLivenessMonitor>.Instance);
        _stream = new GenerationStream(
            new GenerateRequest { Attempt = 3, Choice = 1 }, _writer, _slots, new WriteStallDetector(_time, WriteTimeout), _engineLivenessMonitor, Abort, _gone.Token);
    }

    [Fact]
    public async Task Run_TokensThatAreThereAtOnce_AreWrittenTogetherAndOneWriteAtATime()
    {
        var running = Run();
        _engine.Say(ScriptedEngine.StartFrame);
        await _writer.NextAsync();
        _engine.Say(ScriptedEngine.Token(0), ScriptedEngine.Token(1), ScriptedEngine.Token(2), ScriptedEngine.FinishFrame);
        await _slots.WhenIdleAsync(CancellationToken.None).WaitAsync(TestReplica.Deadline);
        _stream.Tick();
        _stream.Tick();

        _writer.Release();
        var tokens = await _writer.NextAsync();
        _writer.Release();
        _writer.Release();
        await running.WaitAsync(TestReplica.Deadline);

        Assert.Equal([0u, 1u, 2u], tokens.TokenIds);
        Assert.Equal(1, _writer.MostAtOnce);
    }

    [Fact]
    public async Task Tick_WriteBeyondItsTimeout_AbortsTheCallAndStopsTheEngine()
    {
        var running = Run();
        _engine.Say(ScriptedEngine.StartFrame);
        await _writer.NextAsync();

        _time.Advance(WriteTimeout);
        _stream.Tick();
        Assert.Equal(0, _aborts);
        _time.Advance(TimeSpan.FromSeconds(1));
        _stream.Tick();

        Assert.Equal(1, _aborts);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running.WaitAsync(TestReplica.Deadline));
        Assert.True(_engine.Stopped.IsCompleted);
        Assert.Equal(0u, _slots.Report().Running);
    }

    [Fact]
    public async Task Tick_AfterTheCallIsOver_DoesNotTouchItsContext()
    {
        var running = Run();
        _engine.Say(ScriptedEngine.StartFrame);
        await _writer.NextAsync();
        _writer.Fail(new IOException());
        await Assert.ThrowsAsync<IOException>(() => running.WaitAsync(TestReplica.Deadline));

        _stream.Dispose();
        _time.Advance(WriteTimeout * 2);
        _stream.Tick();

        Assert.Equal(0, _aborts);
        Assert.True(_engine.Stopped.IsCompleted);
    }

    public async ValueTask DisposeAsync()
    {
        _stream.Dispose();
        _engineLivenessMonitor.Dispose();
        _gone.Dispose();
        await _engine.DisposeAsync();
    }

    private Task Run()
    {
        _slots.SetSlots(1);
        _slots.TryTake("", told: null, out var lease);
        return _stream.RunAsync(_engine, lease!);
    }

    // As a server does: the call's token is cancelled, and its pending write ends.
    private void Abort()
    {
        _aborts++;
        _gone.Cancel();
        _writer.Release();
    }

    /// <summary>A response stream whose writes end when the test lets them.</summary>
    private sealed class GatedWriter : IServerStreamWriter<GenerateFrame>
    {
        private readonly Channel<GenerateFrame> _written = Channel.CreateUnbounded<GenerateFrame>();
        private readonly Channel<Exception?> _ends = Channel.CreateUnbounded<Exception?>();
        private int _now;

        public int MostAtOnce { get; private set; }

        public WriteOptions? WriteOptions { get; set; }

        public async Task WriteAsync(GenerateFrame message)
        {
            MostAtOnce = Math.Max(MostAtOnce, Interlocked.Increment(ref _now));
            await _written.Writer.WriteAsync(message);
            var end = await _ends.Reader.ReadAsync();
            Interlocked.Decrement(ref _now);
            if (end is not null)
            {
                throw end;
            }
        }

        /// <summary>The next frame whose write has begun.</summary>
        public Task<GenerateFrame> NextAsync() => _written.Reader.ReadAsync().AsTask().WaitAsync(TestReplica.Deadline);

        /// <summary>Lets one write end.</summary>
        public void Release() => _ends.Writer.TryWrite(null);

        public void Fail(Exception exception) => _ends.Writer.TryWrite(exception);
    }
}
