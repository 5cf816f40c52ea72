using System.Diagnostics;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Makes one call that is not generation, attempt after attempt, until an answer has begun. What follows a loss is decided as for a generation that has no
/// token yet. One caller.
/// </summary>
internal sealed class PassThroughCall : IEngineCall
{
    private readonly SessionServices _services;
    private readonly InvokeRequest _request;
    private readonly BranchCore _core;
    private readonly Action _onClosed;
    private readonly HashSet<ReplicaId> _without = [];
    private readonly CancellationTokenSource _stop;
    private readonly CancellationTokenSource? _deadline;
    private readonly Activity? _trace = RequestTrace.Current;
    private IAsyncEnumerator<InvokeFrame>? _frames;
    private ReplicaLease? _lease;
    private Activity? _span;
    private FaultException? _refusal;
    private int _retries;
    private bool _isDisposed;

    /// <param name="arrival">Rising number of the request's arrival at this gateway.</param>
    public PassThroughCall(SessionServices services, InvokeRequest request, long arrival, Action onClosed, CancellationToken cancellationToken)
    {
        (_services, _request, _onClosed) = (services, request, onClosed);
        if (request.HasDeadlineMs)
            _deadline = new CancellationTokenSource(TimeSpan.FromMilliseconds(request.DeadlineMs), services.Time);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _deadline?.Token ?? CancellationToken.None);
        var place = new Arrival(request.Priority, arrival, Choice: 0) { At = services.Admission.Now };
        _core = new BranchCore(new GenerateRequest { Model = request.Model, Priority = request.Priority }, place, services.Options);
    }

    public string Replica => _lease!.Replica.Description.PublicName;

    public int Attempts { get; private set; }

    public TimeSpan Waited { get; private set; }

    public InvokeStart Start { get; private set; } = new();

    /// <summary>Returns when the answer has begun. Called once.</summary>
    public async Task BeginAsync()
    {
        var isWaiting = true;
        try
        {
            while (true)
            {
                isWaiting = true;
                var lease = await AcquireAsync();
                isWaiting = false;
                try
                {
                    if (await TryBeginAsync(lease))
                        return;
                }
                finally
                {
                    // Of an attempt that was not counted as lost.
                    if (_lease is null)
                        lease.Release(Fault.Cancelled);
                }
            }
        }
        catch (Exception stopped) when (IsPastDeadline(stopped))
        {
            throw isWaiting
                ? new FaultException(
                    Fault.DeadlineExceeded, $"no slot for model '{_request.Model}' came free within the deadline of the request, {_request.DeadlineMs} ms",
                    stopped,
                    retryAfter: _services.Admission.PastDeadline(_request.Model))
                : PastDeadline(stopped);
        }
    }

    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync()
    {
        try
        {
            while (await _frames!.MoveNextAsync())
            {
                if (!_frames.Current.Body.IsEmpty)
                    return _frames.Current.Body.Memory;
            }
        }
        catch (Exception stopped) when (IsPastDeadline(stopped))
        {
            throw PastDeadline(stopped);
        }
        catch (FaultException end)
        {
            GiveUp(_lease!, end.Fault);
            throw;
        }
        _lease!.Release(fault: null);
        return null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        try
        {
            await EndAttemptAsync();
        }
        finally
        {
            RequestTrace.EndAttempt(_span, tokens: 0, fault: null);
            _lease?.Dispose();
            _stop.Dispose();
            _deadline?.Dispose();
            _onClosed();
        }
    }

    private async Task<ReplicaLease> AcquireAsync()
    {
        try
        {
            var askedAt = _services.Time.GetTimestamp();
            var lease = await _services.Admission.AcquireAsync(_core.Need() with { Excluded = _without }, _stop.Token);
            var waited = _services.Time.GetElapsedTime(askedAt);
            Waited += waited;
            _services.Statistics.Meter?.Waited(_request.Model, waited);
            RequestTrace.Picked(_trace, choice: 0, lease.Replica.Description.PublicName, waited);
            return lease;
        }
        catch (FaultException refusal) when (refusal.Fault == Fault.NoReplica && _core.HasLost)
        {
            throw _core.Error(refusal.Message, refusal);
        }
    }

    private async Task<bool> TryBeginAsync(ReplicaLease lease)
    {
        Attempts++;
        var own = lease.Replica.Description.OwnNameOf(_request.Model);
        var request = new InvokeRequest(_request) { Model = own, AskedModel = own == _request.Model ? "" : _request.Model };
        _span = RequestTrace.BeginAttempt(request.TraceParent, request.TraceState, lease.Replica);
        if (_span is not null)
            (request.TraceParent, request.TraceState) = (_span.Id, _span.TraceStateString ?? "");
        lease.DescribeQueue(request);
        try
        {
            _frames = _services.Link.InvokeAsync(lease.Replica, request, _stop.Token).GetAsyncEnumerator(_stop.Token);
            if (!await _frames.MoveNextAsync() || _frames.Current.Start is not { Status: >= 200 and < 300 } start)
                throw new FaultException(Fault.ProtocolError, "the replica sent no head of an answer");
            (Start, _lease) = (start, lease);
            return true;
        }
        catch (FaultException end)
        {
            await EndAttemptAsync();
            RequestTrace.EndAttempt(_span, tokens: 0, end.Fault);
            _span = null;
            Lost(lease, end);
            return false;
        }
    }

    /// <exception cref="FaultException">No other attempt is made.</exception>
    private void Lost(ReplicaLease lease, FaultException end)
    {
        var replica = lease.Replica.Id;
        switch (end.Fault)
        {
            case Fault.NoSlot:
            case Fault.Draining when end.Load is not null:
                // Its load report keeps other requests away.
                _core.Refused(lease.AskedAt);
                lease.Release(end.Fault, end.Load);
                return;
            case Fault.Unsupported:
                // Another server of the model may have this call.
                _without.Add(replica);
                _refusal ??= end;
                lease.Release(Fault.Cancelled);
                if (HasOther())
                    return;
                throw _refusal;
            case var fault when fault.Class() is FaultClass.Request or FaultClass.Client or FaultClass.Gateway:
                throw end;
        }
        GiveUp(lease, end.Fault);
        var now = _services.Admission.Now;
        var error = _core.Lost(replica, end, now);
        if (error is null && end.Fault.CostsRetryBudget() && (++_retries > _services.Options.RetriesPerRequest || !_services.Retries.TrySpend()))
            error = _core.Error($"the call failed by {end.Fault.ToWireName()}, and no more retries are allowed");
        error ??= _core.WaitFor(_services.Admission.SoonestFor(_core.Need() with { Excluded = _without }), now);
        if (error is not null)
            throw error;
        _services.Statistics.FailedOver(end.Fault);
    }

    private bool IsPastDeadline(Exception stopped) =>
        _deadline is { IsCancellationRequested: true } && stopped is (OperationCanceledException or FaultException { Fault: Fault.Cancelled });

    private FaultException PastDeadline(Exception stopped) => new(
        Fault.DeadlineExceeded, $"the answer was not complete within the deadline of the request, {_request.DeadlineMs} ms", stopped);

    private bool HasOther()
    {
        foreach (var replica in _services.Fleet.Current.Serving(_request.Model))
        {
            if (!_without.Contains(replica.Id))
                return true;
        }
        return false;
    }

    private void GiveUp(ReplicaLease lease, Fault fault)
    {
        // The replica is taken out before its slot is offered again, so that the next waiter does not meet the same fault.
        if (fault.Class() == FaultClass.Connection)
            _services.Fleet.MarkUnreachable(lease.Replica);
        lease.Release(fault);
    }

    private async ValueTask EndAttemptAsync()
    {
        if (_frames is not { } frames)
            return;
        _frames = null;
        await frames.DisposeAsync();
    }
}
