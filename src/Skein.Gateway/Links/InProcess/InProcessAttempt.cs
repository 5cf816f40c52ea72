using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;

namespace Skein.Gateway.Links.InProcess;

/// <summary>
/// One attempt on an engine in this process. The reader's calls run the engine: a frame goes from the engine to the session without a queue or a thread
/// switch, and frames that are available at the same time are merged. A cancel wakes a reader that waits for the engine; the engine may stop later.
/// One reader; cancels and heartbeats may come from any thread.
/// </summary>
/// <remarks>Not an async iterator: that would end a cancelled read only after its own cleanup, which waits for the engine.</remarks>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and a cancel may come at any time.")]
internal sealed partial class InProcessAttempt(InProcessReplicaLink link, Replica replica, GenerateRequest request, CancellationToken cancellation)
    : IAsyncEnumerable<GenerateFrame>, IAsyncEnumerator<GenerateFrame>, IValueTaskSource<bool>
{
    /// <summary>How long the end of an attempt waits for its engine to stop, so that its slot is free for the next one.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abort = new();
    private Action? _onStep;
    private CancellationTokenRegistration _onCancel;
    private ManualResetValueTaskSourceCore<bool> _read;
    private IAsyncEnumerator<GenerateFrame>? _frames;
    private GenerateFrame? _current;
    private GenerateFrame? _ahead;
    private ValueTask<bool> _step;
    private Exception? _failure;
    private TaskCompletionSource? _stopped;
    private bool _isStepping;
    private bool _isEnded;

    // Guarded by the gate, in order: whether the reader waits for the step, whether OnStep is called at its end, whether it was called, ticks of the wait.
    private bool _isReading;
    private bool _isAttached;
    private bool _isStepOver;
    private int _ticks;

    public GenerateFrame Current => _current!;

    public IAsyncEnumerator<GenerateFrame> GetAsyncEnumerator(CancellationToken cancellationToken = default) => this;

    public ValueTask<bool> MoveNextAsync()
    {
        cancellation.ThrowIfCancellationRequested();
        if (_frames is null)
            Start();
        while (true)
        {
            if (Advance() is { } moved)
                return ValueTask.FromResult(moved);
            if (TryWait() is { } read)
                return read;
        }
    }

    /// <summary>
    /// Called regularly by the link. A reader that waits for longer than a tick gets a heartbeat: sessions decide on moves between two frames.
    /// </summary>
    public void Tick()
    {
        lock (_gate)
        {
            if (!_isReading || _ticks++ == 0)
                return;
            _isReading = false;
        }
        _current = new GenerateFrame { Attempt = request.Attempt, Choice = request.Choice };
        _read.RunContinuationsAsynchronously = true;
        _read.SetResult(true);
    }

    public async ValueTask DisposeAsync()
    {
        await _onCancel.DisposeAsync();
        link.EndTicks(this);
        if (_frames is not { } frames)
            return;
        var stopping = StopAsync(frames);
        if (stopping.IsCompleted)
            return;
        await stopping.WaitAsync(StopTimeout, link.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _read.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _read.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _read.OnCompleted(continuation, state, token, flags);

    private void Start()
    {
        _frames = link.Begin(replica, request).ReadAsync(_abort.Token).GetAsyncEnumerator(CancellationToken.None);
        _onCancel = cancellation.UnsafeRegister(static attempt => ((InProcessAttempt)attempt!).OnCancelled(), this);
        link.BeginTicks(this);
    }

    /// <returns>Null when the step has ended in the meantime.</returns>
    private ValueTask<bool>? TryWait()
    {
        ValueTask<bool> read;
        bool isAttached;
        lock (_gate)
        {
            cancellation.ThrowIfCancellationRequested();
            if (_isStepOver)
                return null;
            _read.Reset();
            (_isReading, _ticks) = (true, 0);
            (isAttached, _isAttached) = (_isAttached, true);
            read = new ValueTask<bool>(this, _read.Version);
        }
        if (!isAttached)
            _step.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_onStep ??= OnStep);
        return read;
    }

    /// <summary>Merges what the engine has ready into one frame, if one can carry it. Called by the reader, or for it while it waits.</summary>
    /// <returns>Whether there was a frame; null when the engine must be awaited.</returns>
    private bool? Advance()
    {
        var frame = _ahead;
        _ahead = null;
        while (!_isEnded && IsStepDone())
        {
            if (TakeStep() is not { } next)
                break;
            if (frame is null)
            {
                frame = next;
            }
            else if (!FrameMerger.TryAppend(frame, next))
            {
                _ahead = next;
                break;
            }
        }
        if (frame is not null)
        {
            _current = frame;
            return true;
        }
        return !_isEnded ? null : _failure is null ? false : throw _failure;
    }

    [SuppressMessage("Reliability", "CA2012", Justification = "Consumed once: by TakeStep when it is completed, or awaited by StepEndedAsync.")]
    private bool IsStepDone()
    {
        if (!_isStepping)
        {
            _step = _frames!.MoveNextAsync();
            _isStepping = true;
        }
        lock (_gate)
            return _isAttached ? _isStepOver : _step.IsCompleted;
    }

    [SuppressMessage("Usage", "VSTHRD002", Justification = "The step is completed.")]
    private GenerateFrame? TakeStep()
    {
        _isStepping = false;
        lock (_gate)
            (_isAttached, _isStepOver) = (false, false);
        try
        {
            if (_step.GetAwaiter().GetResult())
                return _frames!.Current;
        }
        catch (Exception failure)
        {
            _failure = failure;
        }
        _isEnded = true;
        return null;
    }

    private void OnStep()
    {
        lock (_gate)
        {
            _isStepOver = true;
            _stopped?.TrySetResult();
            if (!_isReading)
                return;
            _isReading = false;
        }
        _read.RunContinuationsAsynchronously = false;
        bool moved;
        try
        {
            moved = Advance() is true;
        }
        catch (Exception failure)
        {
            _read.SetException(failure);
            return;
        }
        _read.SetResult(moved);
    }

    private void OnCancelled()
    {
        bool wasReading;
        lock (_gate)
            (wasReading, _isReading) = (_isReading, false);
        // Asynchronously: cancelling may run code of the engine, and the session must not wait for it.
        _ = _abort.CancelAsync();
        if (wasReading)
        {
            _read.RunContinuationsAsynchronously = true;
            _read.SetException(new OperationCanceledException(cancellation));
        }
    }

    /// <summary>Completes when the engine has stopped and its slot is free.</summary>
    private async Task StopAsync(IAsyncEnumerator<GenerateFrame> frames)
    {
        try
        {
            if (_isStepping)
            {
                await _abort.CancelAsync();
                await StepEndedAsync();
            }
            await frames.DisposeAsync();
        }
        catch (Exception failure)
        {
            Log.StopFailed(link.Logger, request.RequestId, replica.Id, failure);
        }
    }

    private async Task StepEndedAsync()
    {
        Task? ended = null;
        lock (_gate)
        {
            if (_isAttached && !_isStepOver)
                ended = (_stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
        if (ended is not null)
            await ended;
        try
        {
            await _step;
        }
        catch (Exception end) when (end is OperationCanceledException or FaultException)
        {
            // The attempt was given up: how it ended does not matter.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3020, LogLevel.Warning, "Stopping request {RequestId} on {Replica} failed")]
        public static partial void StopFailed(ILogger logger, string requestId, ReplicaId replica, Exception exception);
    }
}
