using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Serving.Tests;

public sealed class GenerateCallTests : IAsyncDisposable
{
    private static readonly TimeSpan WriteTimeout = TimeSpan.FromSeconds(30);
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedEngine _engine = new();
    private readonly GatedWriter _writer = new();
    private readonly EngineHost _host;
    private readonly CancellationTokenSource _gone = new();
    private readonly GenerateCall _stream;
    private int _aborts;

    public GenerateCallTests()
    {
        _host = new EngineHost(_engine, new EngineHostOptions { Slots = 1 }, _time, NullLoggerFactory.Instance);
        _stream = new GenerateCall(new GenerateRequest { Attempt = 3, Choice = 1 }, _writer, new WriteStallDetector(_time, WriteTimeout), Abort, _gone.Token);
    }

    [Fact]
    public async Task Run_TokensThatAreThereAtOnce_AreWrittenTogetherAndOneWriteAtATime()
    {
        var running = Run();
        _engine.Say(ScriptedEngine.StartFrame);
        await _writer.NextAsync();
        _engine.Say(ScriptedEngine.Token(0), ScriptedEngine.Token(1), ScriptedEngine.Token(2), ScriptedEngine.FinishFrame);
        await _host.Control.WhenIdleAsync(CancellationToken.None).WaitAsync(TestReplica.Deadline);
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
        Assert.Equal(0u, _host.Control.Report().Running);
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
        _host.Dispose();
        _gone.Dispose();
        await _engine.DisposeAsync();
    }

    private async Task Run()
    {
        await _host.StartAsync(CancellationToken.None);
        using var attempt = _host.Begin(new GenerateRequest { Attempt = 3, Choice = 1 });
        await _stream.RunAsync(attempt);
    }

    // As a server does: it cancels the call's token and ends its pending write.
    private void Abort()
    {
        _aborts++;
        _gone.Cancel();
        _writer.Release();
    }

    /// <summary>A response stream whose writes complete when the test says so.</summary>
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

        /// <summary>Completes one write.</summary>
        public void Release() => _ends.Writer.TryWrite(null);

        public void Fail(Exception exception) => _ends.Writer.TryWrite(exception);
    }
}
