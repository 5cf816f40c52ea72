using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Decides when another attempt runs beside a branch's current one, and when it takes its place: on a drain, on a straggler, on a late first
/// token. Driven by <see cref="Branch"/> between two frames; at most one challenger at a time.
/// </summary>
internal sealed class AttemptSwitcher(
    SessionServices services, BranchCore core, GenerationSession session, GenerateRequest request, Arrival arrival, CancellationToken branch) : IAsyncDisposable
{
    private static readonly TimeSpan ContinueTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);

    private readonly StragglerWatch _stragglers = new(services, request);
    private SecondaryAttempt? _secondaryAttempt;
    private FirstTokenRace? _race;
    private bool _hedged;
    private long _failedAt;

    /// <summary>A new current attempt begins: it is hedged where that is wanted.</summary>
    public void Begin(Attempt current)
    {
        _stragglers.Begin();
        if (_hedged || core.NextIndex > 0 || services.Hedging.DelayOf(request) is not { } delay)
            return;
        _hedged = true;
        _race = new FirstTokenRace();
        Start(new HedgeAttempt(services, core.Challenge(hold: false), NeedBeside(current, hold: false), current, _race, delay, branch));
    }

    /// <summary>The current attempt has tokens. False when a challenger had its first one before: then these do not count.</summary>
    public bool MayTake(GenerateFrame frame) =>
        _race is null || (frame.Count == 0 && frame.Finish is null) || _race.TryWin(core.Attempt);

    /// <summary>Called after each frame of the current attempt.</summary>
    /// <returns>The attempt to go on with; null: the current one.</returns>
    public ValueTask<Attempt?> AfterFrameAsync(Attempt current, bool finished)
    {
        if (_secondaryAttempt is null)
        {
            if (!finished && ReasonToMove(current) is { } reason)
                Start(new HandoverAttempt(services, core.Challenge(hold: true), NeedBeside(current, hold: true), reason, branch));
            return ValueTask.FromResult<Attempt?>(null);
        }
        if (finished || (_race is not null && core.NextIndex > 0) || IsNoLongerDraining(current) || HedgeGivesWayToMove(current))
            return AbandonAsync();
        if (!_secondaryAttempt.Ready.IsCompleted)
            return ValueTask.FromResult<Attempt?>(null);
        return _secondaryAttempt is HandoverAttempt held ? MoveAsync(current, held.Reason) : TakeOverAsync();
    }

    /// <summary>The current attempt is over: goes on with the challenger, if there is one that has been sent out.</summary>
    /// <returns>The attempt to go on with; null: a new one must be made.</returns>
    public async ValueTask<Attempt?> TakeOverAsync()
    {
        if (_secondaryAttempt is null)
            return null;
        if (_secondaryAttempt.Replica is null || !await _secondaryAttempt.Ready)
            return await AbandonAsync();
        return await PromoteAsync();
    }

    public async ValueTask DisposeAsync() => await AbandonAsync();

    private void Start(SecondaryAttempt challenger)
    {
        _secondaryAttempt = challenger;
        challenger.Begin();
    }

    private AdmissionRequest NeedBeside(Attempt current, bool hold) => core.NeedBeside(request.Model, arrival, current.Lease.Replica.Id, hold);

    private bool IsNoLongerDraining(Attempt current) =>
        _secondaryAttempt is HandoverAttempt { Reason: FaultReason.Draining } && !current.Lease.Replica.Description.HandOver;

    // A hedge that waits for its slot must not stand in the way of a hand-over.
    private bool HedgeGivesWayToMove(Attempt current) => _secondaryAttempt is HedgeAttempt { Replica: null } && ReasonToMove(current) is not null;

    private FaultReason? ReasonToMove(Attempt current)
    {
        if (!core.MayMove || (_failedAt != 0 && services.Time.GetElapsedTime(_failedAt) < PauseAfterFailure))
            return null;
        return current.Lease.Replica.Description.HandOver ? FaultReason.Draining
            : _stragglers.IsWorthMoving(current, core.NextIndex) ? FaultReason.Straggler
            : null;
    }

    // Make before break: the current attempt is left alone, unread, until the other one has agreed to go on.
    private async ValueTask<Attempt?> MoveAsync(Attempt current, FaultReason reason)
    {
        if (!await _secondaryAttempt!.Ready)
            return await FailAsync();
        current.Watch.Pause();
        var next = await PromoteAsync();
        if (next is null)
        {
            current.Watch.Resume();
            return null;
        }
        if (reason == FaultReason.Straggler)
            current.EndsAs = LeaseOutcome.TooSlow;
        services.Statistics.FailedOver(reason);
        session.FailedOver(new Failover(core.Choice, core.NextIndex, current.Lease.Replica.Id.Name, reason.ToWireName()));
        return next;
    }

    private async ValueTask<Attempt?> PromoteAsync()
    {
        var challenger = _secondaryAttempt!;
        if (challenger is HandoverAttempt && !await ContinueAsync(challenger))
            return await FailAsync();
        core.Promote(challenger.Challenge);
        session.Promoted(core.Choice, challenger.Replica!.Id.Name);
        var next = challenger.Take();
        (_secondaryAttempt, _race) = (null, null);
        await challenger.DisposeAsync();
        return next;
    }

    private async Task<bool> ContinueAsync(SecondaryAttempt challenger)
    {
        using var timeout = new CancellationTokenSource(ContinueTimeout, services.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, branch);
        var askedAt = services.Time.GetTimestamp();
        try
        {
            await services.Link.ContinueAsync(challenger.Replica!, core.Continuation(challenger.Challenge), either.Token);
            return true;
        }
        catch (LinkException refusal)
        {
            return NotContinued(challenger.Replica!, refusal);
        }
        catch (OperationCanceledException) when (!branch.IsCancellationRequested)
        {
            // Late ourselves: the answer may wait unread in a buffer. Whoever is at fault, it is not known to be the replica.
            if (services.Time.GetElapsedTime(askedAt) > ContinueTimeout + services.Options.OwnLateness)
                return false;
            // Continue waits for no engine: a replica that does not answer it is frozen, or cut off.
            return NotContinued(challenger.Replica!, new LinkException(LinkError.ConnectionLost, $"no answer to Continue within {ContinueTimeout.TotalSeconds:0} s"));
        }
    }

    private bool NotContinued(Replica replica, LinkException refusal)
    {
        session.Faulted(core.Choice, replica.Id, refusal);
        if (FaultReasons.Of(refusal.Error).IsOfConnection())
            services.Fleet.MarkUnreachable(replica);
        core.ChallengerLost(replica.Id);
        return false;
    }

    private ValueTask<Attempt?> FailAsync()
    {
        _failedAt = services.Time.GetTimestamp();
        return AbandonAsync();
    }

    private async ValueTask<Attempt?> AbandonAsync()
    {
        if (_secondaryAttempt is not { } challenger)
            return null;
        (_secondaryAttempt, _race) = (null, null);
        await challenger.DisposeAsync();
        if (challenger.Fault is not null)
            core.ChallengerLost(challenger.Replica!.Id);
        return null;
    }
}
