using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Starts a secondary attempt on a drain, a straggler or a late first token, and switches to it. At most one at a time.</summary>
internal sealed class AttemptSwitcher(
    SessionServices services, BranchCore core, GenerationSession session, GenerateRequest request, CancellationToken branch) : IAsyncDisposable
{
    private static readonly TimeSpan ContinueTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    private readonly StragglerWatch _stragglers = new(services, request);
    private SecondaryAttempt? _secondary;
    private bool _hedged;
    private long _failedAt;

    /// <summary>A new current attempt begins. It is hedged if the request is, and the hedging delay is known.</summary>
    public void Begin(Attempt current)
    {
        _stragglers.Begin();
        if (_hedged || core.NextIndex > 0 || services.Hedging.DelayOf(request) is not { } delay)
            return;
        _hedged = true;
        Start(new HedgeAttempt(services, core.PrepareSecondary(current.Lease.Replica.Id, isStandby: false), current, delay, branch));
    }

    /// <summary>False if a hedge had the first token before the current attempt, whose tokens then do not count.</summary>
    public bool MayAccept(GenerateFrame frame) =>
        _secondary is not HedgeAttempt hedge || (frame.Count == 0 && frame.Finish is null) || hedge.TryWin(core.Attempt);

    /// <summary>Called after each frame of the current attempt.</summary>
    /// <returns>The attempt to continue with; null: the current one.</returns>
    public ValueTask<Attempt?> AfterFrameAsync(Attempt current, bool finished)
    {
        if (_secondary is null)
        {
            if (!finished && ReasonToMove(current) is { } reason)
                Start(new HandoverAttempt(services, core.PrepareSecondary(current.Lease.Replica.Id, isStandby: true), reason, branch));
            return ValueTask.FromResult<Attempt?>(null);
        }
        if (finished || (_secondary is HedgeAttempt && core.NextIndex > 0) || IsNoLongerDraining(current) || HedgeGivesWayToMove(current))
            return AbandonAsync();
        if (!_secondary.Ready.IsCompleted)
            return ValueTask.FromResult<Attempt?>(null);
        return _secondary is HandoverAttempt handover ? MoveAsync(current, handover.Reason) : TakeOverAsync();
    }

    /// <summary>The current attempt is over: continues with the secondary attempt, if one was sent.</summary>
    /// <returns>The attempt to continue with; null: a new one must be started.</returns>
    public async ValueTask<Attempt?> TakeOverAsync()
    {
        if (_secondary is null)
            return null;
        if (_secondary.Replica is null || !await _secondary.Ready)
            return await AbandonAsync();
        return await PromoteAsync();
    }

    public async ValueTask DisposeAsync() => await AbandonAsync();

    private void Start(SecondaryAttempt secondary)
    {
        _secondary = secondary;
        secondary.Begin();
    }

    private bool IsNoLongerDraining(Attempt current) =>
        _secondary is HandoverAttempt { Reason: Fault.Draining } && !current.Lease.Replica.Description.HandOver;

    // A hedge that waits for its slot must not delay a hand-over.
    private bool HedgeGivesWayToMove(Attempt current) => _secondary is HedgeAttempt { Replica: null } && ReasonToMove(current) is not null;

    private Fault? ReasonToMove(Attempt current)
    {
        if (!core.MayMove || (_failedAt != 0 && services.Time.GetElapsedTime(_failedAt) < PauseAfterFailure))
            return null;
        return current.Lease.Replica.Description.HandOver ? Fault.Draining
            : _stragglers.IsWorthMoving(current, core.NextIndex) ? Fault.Straggler
            : null;
    }

    // Make before break: the current attempt stays, unread, until the other replica has agreed to continue.
    private async ValueTask<Attempt?> MoveAsync(Attempt current, Fault reason)
    {
        if (!await _secondary!.Ready)
            return await FailAsync();
        current.Watch.Pause();
        var next = await PromoteAsync();
        if (next is null)
        {
            current.Watch.Resume();
            return null;
        }
        if (reason == Fault.Straggler)
            current.EndsAs = Fault.Straggler;
        services.Statistics.FailedOver(reason);
        var left = current.Lease.Replica;
        session.FailedOver(new Failover(core.Choice, core.NextIndex, left.Description.PublicName, reason.ToWireName()), left.Id);
        return next;
    }

    private async ValueTask<Attempt?> PromoteAsync()
    {
        var secondary = _secondary!;
        if (secondary is HandoverAttempt && !await ContinueAsync(secondary))
            return await FailAsync();
        core.Promote(secondary.Request);
        session.Dispatched(core.Choice, secondary.Replica!.Description.PublicName);
        var next = secondary.Take();
        _secondary = null;
        await secondary.DisposeAsync();
        return next;
    }

    private async Task<bool> ContinueAsync(SecondaryAttempt secondary)
    {
        using var timeout = new CancellationTokenSource(ContinueTimeout, services.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, branch);
        var askedAt = services.Time.GetTimestamp();
        try
        {
            await services.Link.ContinueAsync(secondary.Replica!, core.Continuation(secondary.Request), either.Token);
            return true;
        }
        catch (FaultException refusal)
        {
            return NotContinued(secondary.Replica!, refusal);
        }
        catch (OperationCanceledException) when (!branch.IsCancellationRequested)
        {
            // This process was late: the answer may wait unread in a buffer, and the replica is not known to be at fault.
            if (services.Time.GetElapsedTime(askedAt) > ContinueTimeout + services.Options.OwnLateness)
                return false;
            // Continue waits for no engine: a replica that does not answer it is frozen or disconnected.
            var message = $"no answer to Continue within {ContinueTimeout.TotalSeconds:0} s";
            return NotContinued(secondary.Replica!, new FaultException(Fault.ConnectionLost, message));
        }
    }

    private bool NotContinued(Replica replica, FaultException refusal)
    {
        session.Faulted(core.Choice, replica.Id, refusal);
        if (refusal.Fault.Class() == FaultClass.Connection)
            services.Fleet.MarkUnreachable(replica);
        core.SecondaryLost(replica.Id, services.Admission.Now);
        return false;
    }

    private ValueTask<Attempt?> FailAsync()
    {
        _failedAt = services.Time.GetTimestamp();
        return AbandonAsync();
    }

    private async ValueTask<Attempt?> AbandonAsync()
    {
        if (_secondary is not { } secondary)
            return null;
        _secondary = null;
        await secondary.DisposeAsync();
        if (secondary.FailedBy is not null)
            core.SecondaryLost(secondary.Replica!.Id, services.Admission.Now);
        return null;
    }
}
