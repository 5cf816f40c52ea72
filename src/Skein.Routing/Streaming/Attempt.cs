using System.Diagnostics;
using System.Runtime.CompilerServices;
using Skein.Routing.Admission;

namespace Skein.Routing.Streaming;

/// <summary>One attempt of a branch on a leased replica. One reader at a time; disposing it aborts the attempt and gives the slot back.</summary>
internal sealed class Attempt : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop;
    private readonly IAsyncEnumerator<GenerateFrame> _frames;
    private readonly CancellationToken _branch;
    private readonly TimeProvider _time;
    private readonly StreamingOptions _options;
    private Queue<GenerateFrame>? _readAhead;
    private GenerateFrame? _current;
    private ReplayDeadline? _replay;
    private long _firstTokenAt;
    private volatile bool _superseded;

    /// <summary>Starts the attempt, which owns the lease from now on.</summary>
    public Attempt(SessionServices services, ReplicaLease lease, GenerateRequest request, CancellationToken branch)
    {
        Lease = lease;
        _branch = branch;
        (_time, _options) = (services.Time, services.Options);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(branch);
        Watch = new AttemptWatch(
            services.Time, services.Options, _stop, lease.Replica.Pace, request, services.Link.CanBreak(lease.Replica), services.Lateness);
        if (lease.Replica.Description.OwnNameOf(request.Model) is var own && own != request.Model)
            request = new GenerateRequest(request) { Model = own };
        Span = RequestTrace.BeginAttempt(request, lease.Replica);
        if (Span is not null)
            request = new GenerateRequest(request) { TraceParent = Span.Id, TraceState = Span.TraceStateString ?? "" };
        lease.DescribeQueue(request);
        _frames = services.Link.GenerateAsync(lease.Replica, request, _stop.Token).GetAsyncEnumerator(_stop.Token);
    }

    public ReplicaLease Lease { get; }

    /// <summary>Its span; null: the request is not traced.</summary>
    public Activity? Span { get; }

    /// <summary>Why it was lost; null: it was not.</summary>
    public Fault? LostBy { get; set; }

    public AttemptWatch Watch { get; }

    /// <summary>Time since the first token; zero before it.</summary>
    public TimeSpan AgeSinceFirstToken => _firstTokenAt == 0 ? TimeSpan.Zero : _time.GetElapsedTime(_firstTokenAt);

    /// <summary>
    /// Bounds the time from the first token until <see cref="CaughtUp"/>, also while nothing comes: then <see cref="MoveNextAsync"/> fails, and
    /// <see cref="IsReplayLate"/>. Called before the first frame is read.
    /// </summary>
    public void BoundReplay() => _replay = new ReplayDeadline(_time, _options.MaxReplay, _options.OwnLateness, _stop);

    /// <summary>Everything that the client has was repeated.</summary>
    public void CaughtUp()
    {
        _replay?.Dispose();
        _replay = null;
    }

    /// <summary>Whether the attempt was stopped because it did not catch up in time.</summary>
    public bool IsReplayLate => _replay is { IsOver: true };

    /// <summary>How its lease ends if it was not released before the attempt is disposed.</summary>
    public Fault EndsAs { get; set; } = Fault.Cancelled;

    public GenerateFrame Current => _current!;

    /// <returns>False at the clean end of the stream.</returns>
    /// <exception cref="FaultException">It did not end cleanly; <see cref="Fault.Cancelled"/>: it was superseded.</exception>
    /// <exception cref="OperationCanceledException">The branch ended.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> MoveNextAsync()
    {
        if (_readAhead is not null && _readAhead.TryDequeue(out _current))
            return true;
        try
        {
            if (!await _frames.MoveNextAsync())
                return false;
        }
        catch (OperationCanceledException) when (!_branch.IsCancellationRequested && (_superseded || Watch.Stall is not null || IsReplayLate))
        {
            throw new FaultException(_superseded ? Fault.Cancelled : Watch.Stall ?? Fault.EngineStall, "the gateway stopped the attempt");
        }
        _current = _frames.Current;
        if (_current.Count > 0 && _firstTokenAt == 0)
        {
            _firstTokenAt = _time.GetTimestamp();
            _replay?.Begin();
        }
        Watch.Beat(_current.Count, _current.EngineAlive);
        return true;
    }

    /// <summary>Returns frames to the attempt that were read before it became the current one.</summary>
    public void ReadAgain(Queue<GenerateFrame> frames) => _readAhead = frames;

    /// <summary>Stops the attempt because another one won; its reader gets <see cref="Fault.Cancelled"/>. Thread-safe.</summary>
    public void Supersede()
    {
        _superseded = true;
        _stop.CancelUnlessDisposed();
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await _frames.DisposeAsync();
        }
        finally
        {
            Watch.Dispose();
            _replay?.Dispose();
            _stop.Dispose();
            RequestTrace.EndAttempt(Span, Lease.AnswerTokens, LostBy);
            Lease.Release(EndsAs);
        }
    }
}
