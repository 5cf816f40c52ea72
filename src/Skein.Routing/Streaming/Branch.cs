using Skein.Routing.Admission;

namespace Skein.Routing.Streaming;

/// <summary>Runs one choice of a session, attempt after attempt, until the finish frame. A thin shell around <see cref="BranchCore"/>.</summary>
internal sealed class Branch(SessionServices services, GenerateRequest request, Arrival arrival, RequestTraits traits, GenerationSession session)
{
    private readonly BranchCore _core = new(request, arrival, services.Options, session.IsSeeded) { Traits = traits };
    private readonly List<GenerateFrame> _screened = [];
    private long _journaledBytes;
    private uint? _shownAttempt;
    private TimeSpan _waited;

    /// <summary>Why the client waits for the next token, since the last token before; null: no failover is under way.</summary>
    private (string Reason, long Since)? _gap;
    private bool _finished;

    /// <exception cref="FaultException">The branch cannot be finished.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var switcher = new AttemptSwitcher(services, _core, session, request, cancellationToken);
        try
        {
            Attempt? next = null;
            while (!_finished)
            {
                next ??= await DispatchAsync(cancellationToken);
                await using var current = next;
                switcher.Begin(current);
                (next, var end) = await RunAttemptAsync(current, switcher, cancellationToken);
                if (end is not null)
                {
                    current.LostBy = end.Fault;
                    GiveUp(current, end);
                    next = await switcher.TakeOverAsync();
                }
            }
        }
        finally
        {
            services.Statistics.Journaled(-_journaledBytes);
        }
    }

    private async Task<Attempt> DispatchAsync(CancellationToken cancellationToken)
    {
        var lease = await AcquireAsync(cancellationToken);
        session.Dispatched(_core.Choice, lease.Replica.Description.PublicName);
        var attempt = new Attempt(services, lease, _core.BeginAttempt(), cancellationToken);
        if (_core.IsReplaying)
            attempt.BoundReplay();
        return attempt;
    }

    private async Task<ReplicaLease> AcquireAsync(CancellationToken cancellationToken)
    {
        session.Queued();
        var askedAt = services.Time.GetTimestamp();
        try
        {
            var asked = services.Admission.AcquireAsync(_core.Need(), cancellationToken);
            if (!asked.IsCompleted)
                session.Waits(_core.Choice);
            var lease = await asked;
            var waited = services.Time.GetElapsedTime(askedAt);
            services.Statistics.Meter?.Waited(request.Model, waited);
            session.Picked(_core.Choice, lease.Replica.Description.PublicName, waited, _waited += waited);
            return lease;
        }
        catch (FaultException refusal) when (_core.NextIndex > 0)
        {
            throw _core.Error($"the stream could not continue after token {_core.NextIndex}: {refusal.Message}", refusal);
        }
        catch (FaultException refusal) when (refusal.Fault == Fault.NoReplica && _core.HasLost)
        {
            throw _core.Error(refusal.Message, refusal);
        }
        finally
        {
            session.LeftQueue();
        }
    }

    /// <returns>The next attempt, and why this one was given up; neither when the branch is finished or the replica had no slot.</returns>
    private async Task<(Attempt? Next, FaultException? End)> RunAttemptAsync(Attempt current, AttemptSwitcher switcher, CancellationToken cancellationToken)
    {
        try
        {
            while (await current.MoveNextAsync())
            {
                var frame = current.Current;
                if (_finished)
                    continue;
                if (!switcher.MayAccept(frame))
                    return (await switcher.TakeOverAsync(), null);
                _screened.Clear();
                if (_core.Screen(frame, _screened) == GuardVerdict.Restarted)
                    return (null, Restarted(current));
                if (AcceptScreened(current) is { } broken)
                    return (null, broken);
                if (await switcher.AfterFrameAsync(current, _finished) is { } next)
                    return (next, null);
                if (session.Output.IsFull)
                {
                    current.Watch.Pause();
                    await session.Output.WaitUntilReadAsync(cancellationToken);
                    current.Watch.Resume();
                }
            }
            return (null, _finished ? null : new FaultException(Fault.NoFinish, "the stream ended without a finish frame"));
        }
        catch (FaultException superseded) when (superseded.Fault == Fault.Cancelled)
        {
            return _finished ? default : (await switcher.TakeOverAsync(), null);
        }
        catch (FaultException) when (current.IsReplayLate && _core.IsReplaying)
        {
            return (null, LeaveSlowReplay(current));
        }
        catch (FaultException end) when (end.Fault.Class() is not (FaultClass.Client or FaultClass.Gateway))
        {
            return (null, _finished ? null : Classify(end, current.Lease));
        }
    }

    private FaultException Restarted(Attempt current)
    {
        var end = new FaultException(Fault.ResumeRefused, "the server may have begun the answer anew instead of continuing it");
        session.Faulted(_core.Choice, current.Lease.Replica.Id, end);
        return end;
    }

    /// <returns>Why the attempt is given up; null if it is not.</returns>
    private FaultException? AcceptScreened(Attempt current)
    {
        foreach (var frame in _screened)
        {
            if (Accept(frame, current) is { } end)
                return end;
        }
        return null;
    }

    /// <returns>Why the attempt is given up; null if it is not.</returns>
    private FaultException? Accept(GenerateFrame frame, Attempt current)
    {
        var lease = current.Lease;
        var load = frame.Load;
        var isFirstToken = frame.Count > 0 && _core.NextIndex == 0;
        var verdict = _core.Accept(frame, out var violation);
        if (verdict == FrameVerdict.Violation)
        {
            session.Violated(_core.Choice, lease.Replica.Id, violation!);
            return new FaultException(Fault.ProtocolError, "the replica broke the protocol");
        }
        if (verdict == FrameVerdict.Diverged)
            return LeaveReplay(current, violation!, isSlow: false);
        lease.AnswerTokens += frame.Count;
        if (verdict == FrameVerdict.Finish)
        {
            _finished = true;
            Measure(current);
            lease.Release(fault: null, load);
        }
        else if (load is not null)
        {
            services.Admission.Report(lease.Replica, load);
        }
        if (verdict == FrameVerdict.Drop)
        {
            if (frame.Attempt != _core.Attempt)
                services.Statistics.LateFrame();
            else if (!_core.IsReplaying)
                current.CaughtUp();
            else if (current.AgeSinceFirstToken > services.Options.MaxReplay)
                return LeaveSlowReplay(current);
            return null;
        }
        current.CaughtUp();
        if (frame.Count > 0)
            lease.Clear();
        if (isFirstToken)
        {
            lease.Replica.Pace.FirstToken(current.Watch.Age, services.Admission.Now);
            session.FirstToken(_core.Choice, lease.Replica.Description.PublicName);
        }
        if (_gap is { } gap && frame.Count > 0)
        {
            services.Statistics.Meter?.Resumed(gap.Reason, services.Time.GetElapsedTime(gap.Since));
            _gap = null;
        }
        AccountJournal();
        // A replica must not choose the name that clients see.
        frame.Replica = _shownAttempt == frame.Attempt ? "" : lease.Replica.Description.PublicName;
        _shownAttempt = frame.Attempt;
        session.Forward(frame, _core.ToldTier);
        return null;
    }

    /// <summary>Of one token there is no time per token.</summary>
    private void Measure(Attempt finished)
    {
        if (finished.Lease.AnswerTokens > 1)
        {
            services.Statistics.Meter?.Generated(
                request.Model, finished.Lease.Replica.Id.Name, request.PromptCase is GenerateRequest.PromptOneofCase.Chat,
                finished.AgeSinceFirstToken / (finished.Lease.AnswerTokens - 1));
        }
    }

    private FaultException LeaveSlowReplay(Attempt current) =>
        LeaveReplay(current, $"that took more than {services.Options.MaxReplay.TotalSeconds:0.#} s", isSlow: true);

    /// <exception cref="FaultException">The answer cannot continue in another way.</exception>
    private FaultException LeaveReplay(Attempt current, string why, bool isSlow)
    {
        var failure = $"the answer can only continue after token {_core.NextIndex} by generating it again from the start, but {why}";
        if (!_core.TryLeaveReplay(isSlow, failure))
            throw new FaultException(Fault.StreamLost, failure);
        var end = new FaultException(Fault.ResumeRefused, $"the answer was generated again from the start, but {why}");
        session.Faulted(_core.Choice, current.Lease.Replica.Id, end);
        return end;
    }

    private void AccountJournal()
    {
        var bytes = _core.JournalBytes;
        services.Statistics.Journaled(bytes - _journaledBytes);
        _journaledBytes = bytes;
        if (bytes > services.Options.JournalBytes && !_finished)
            throw new FaultException(
                Fault.StreamLost, $"the answer's journal of {bytes} bytes is over the bound of {services.Options.JournalBytes} bytes per session");
    }

    /// <returns>The same, or null when the replica only had no slot.</returns>
    /// <exception cref="FaultException">The request is at fault.</exception>
    private FaultException? Classify(FaultException end, ReplicaLease lease)
    {
        switch (end.Fault)
        {
            case Fault.NoSlot:
            case Fault.Draining when end.Load is not null:
                // Its load report keeps other requests away.
                _core.Refused(lease.AskedAt);
                lease.Release(end.Fault, end.Load);
                return null;
            case var fault when fault.Class() == FaultClass.Request:
                throw new FaultException(fault, end.Message, end) { Engine = end.Engine, Param = end.Param };
            default:
                session.Faulted(_core.Choice, lease.Replica.Id, end);
                return end;
        }
    }

    private void GiveUp(Attempt attempt, FaultException end)
    {
        var lease = attempt.Lease;
        var replica = lease.Replica.Id;
        var publicName = lease.Replica.Description.PublicName;
        var reason = end.Fault;
        // The replica is taken out before its slot is offered again, so that the next waiter does not meet the same fault.
        if (reason.Class() == FaultClass.Connection)
            services.Fleet.MarkUnreachable(lease.Replica);
        lease.Release(reason);
        var now = services.Admission.Now;
        var error = _core.Lost(replica, end, now);
        if (error is null && reason.CostsRetryBudget())
            error = SpendRetry($"an attempt failed by {reason.ToWireName()} at token {_core.NextIndex}");
        error ??= _core.WaitFor(services.Admission.SoonestFor(_core.Need()), now);
        if (error is not null)
        {
            session.Abandoned(_core.Choice, replica, _core.NextIndex, reason);
            throw error;
        }
        services.Statistics.FailedOver(reason);
        if (_core.NextIndex > 0)
            _gap ??= (reason.ToWireName(), attempt.Watch.LastTokenAt);
        session.FailedOver(new Failover(_core.Choice, _core.NextIndex, publicName, reason.ToWireName()), replica);
    }

    private FaultException? SpendRetry(string failure) =>
        !session.TrySpendRetry() ? _core.Error($"{failure}, and this request has used its share of the retries")
        : !services.Retries.TrySpend() ? _core.Error($"{failure}, and so many requests fail here that no more are retried")
        : null;
}
