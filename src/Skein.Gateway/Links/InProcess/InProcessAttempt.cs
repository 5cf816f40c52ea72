using System.Diagnostics.CodeAnalysis;
using System.Threading.Tasks.Sources;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Links.InProcess;

/// <summary>
/// One attempt on an engine in this process. Its reader's calls run the engine: a frame passes from the engine to the session without a queue or a thread
/// switch. A cancel wakes a reader that waits for the engine; the engine may take longer to stop. One reader; the cancel may come from any thread.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and a cancel may come at any time.")]
internal sealed partial class InProcessAttempt : IAsyncDisposable, IValueTaskSource<bool>
{
    /// <summary>How long the end of an attempt waits for its engine to stop, so that its slot is free for the next one.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly InProcessReplicaLink _link;
    private readonly Replica _replica;
    private readonly GenerateRequest _request;
    private readonly CancellationToken _cancellation;
    private readonly IAsyncEnumerator<GenerateFrame> _frames;
    private readonly Action _onStep;
    private readonly CancellationTokenRegistration _onCancel;
    private ManualResetValueTaskSourceCore<bool> _wait;
    private ValueTask<bool> _step;
    private bool _isStepping;
    private bool _isEnded;

    // Guarded by the gate. A cancelled wait leaves its step behind: the source completes when that step has ended.
    private bool _isWaiting;
    private TaskCompletionSource? _leftStep;

    public InProcessAttempt(InProcessReplicaLink link, Replica replica, GenerateRequest request, CancellationToken cancellation)
    {
        (_link, _replica, _request, _cancellation) = (link, replica, request, cancellation);
        _frames = link.Begin(replica, request).ReadAsync(_abort.Token).GetAsyncEnumerator(CancellationToken.None);
        _onStep = OnStep;
        _onCancel = cancellation.UnsafeRegister(static attempt => ((InProcessAttempt)attempt!).OnCancelled(), this);
    }

    /// <summary>False at the clean end.</summary>
    /// <exception cref="FaultException">The attempt ended with an error.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public ValueTask<bool> WaitToReadAsync()
    {
        if (_isEnded)
            return ValueTask.FromResult(false);
        StartStep();
        if (_step.IsCompleted)
        {
            // A success is left to TryRead.
            _isStepping = _step.IsCompletedSuccessfully;
            return _isStepping ? ValueTask.FromResult(true) : _step;
        }
        ValueTask<bool> wait;
        lock (_gate)
        {
            _cancellation.ThrowIfCancellationRequested();
            _wait.Reset();
            _isWaiting = true;
            wait = new ValueTask<bool>(this, _wait.Version);
        }
        _step.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_onStep);
        return wait;
    }

    /// <summary>Reads a frame that the engine has ready.</summary>
    [SuppressMessage("Usage", "VSTHRD002", Justification = "The step is completed.")]
    public bool TryRead([NotNullWhen(true)] out GenerateFrame? frame)
    {
        frame = null;
        if (_isEnded)
            return false;
        StartStep();
        if (!_step.IsCompletedSuccessfully)
            return false;
        _isStepping = false;
        _isEnded = !_step.GetAwaiter().GetResult();
        frame = _isEnded ? null : _frames.Current;
        return frame is not null;
    }

    public async ValueTask DisposeAsync()
    {
        await _onCancel.DisposeAsync();
        await StopAsync().WaitAsync(StopTimeout, _link.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _wait.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    [SuppressMessage("Reliability", "CA2012", Justification = "Consumed once: by TryRead after a success, by WaitToReadAsync's caller, or by EndStepAsync.")]
    private void StartStep()
    {
        if (!_isStepping)
            (_step, _isStepping) = (_frames.MoveNextAsync(), true);
    }

    private void OnStep()
    {
        lock (_gate)
        {
            _leftStep?.SetResult();
            if (_leftStep is not null)
                return;
            _isWaiting = false;
        }
        _wait.RunContinuationsAsynchronously = false;
        _wait.SetResult(true);
    }

    private void OnCancelled()
    {
        lock (_gate)
        {
            if (_isWaiting)
                _leftStep = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _isWaiting = false;
        }
        // Asynchronously: an engine's reaction may take time, and the session must not wait for it.
        _ = _abort.CancelAsync();
        if (_leftStep is not null)
        {
            _wait.RunContinuationsAsynchronously = true;
            _wait.SetException(new OperationCanceledException(_cancellation));
        }
    }

    /// <summary>Ends when the engine has stopped and its slot is free.</summary>
    private async Task StopAsync()
    {
        try
        {
            if (_isStepping)
                await EndStepAsync();
            await _frames.DisposeAsync();
        }
        catch (Exception failure)
        {
            Log.StopFailed(_link.Logger, _request.RequestId, _replica.Id, failure);
        }
    }

    private async Task EndStepAsync()
    {
        await _abort.CancelAsync();
        if (_leftStep is not null)
            await _leftStep.Task;
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
