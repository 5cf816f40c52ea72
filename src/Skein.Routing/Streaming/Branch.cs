using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Runs one choice of a session, attempt after attempt, until the finish frame. A thin shell around <see cref="BranchCore"/>.</summary>
internal sealed class Branch(SessionServices services, GenerateRequest request, Arrival arrival, GenerationSession session)
{
    private readonly BranchCore _core = new(request, arrival, services.Options);
    private long _journaledBytes;
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
                (next, var fault) = await RunAttemptAsync(current, switcher, cancellationToken);
                if (fault is { } reason)
                {
                    GiveUp(current.Lease, reason);
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
        session.Dispatched(_core.Choice, lease.Replica.Id.Name);
        return new Attempt(services, lease, _core.BeginAttempt(), cancellationToken);
    }

    private async Task<ReplicaLease> AcquireAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await services.Admission.AcquireAsync(_core.Need(), cancellationToken);
        }
        catch (FaultException refusal) when (_core.NextIndex > 0)
        {
            throw new FaultException(Fault.StreamLost, $"the stream could not continue after token {_core.NextIndex}: {refusal.Message}", refusal);
        }
    }

    /// <returns>The next attempt, and why this one was given up; neither when the branch is finished or the replica had no slot.</returns>
    private async Task<(Attempt? Next, Fault? Fault)> RunAttemptAsync(Attempt current, AttemptSwitcher switcher, CancellationToken cancellationToken)
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
                if (!Accept(frame, current))
                    return (null, Fault.ProtocolError);
                if (await switcher.AfterFrameAsync(current, _finished) is { } next)
                    return (next, null);
                if (session.Output.IsFull)
                {
                    current.Watch.Pause();
                    await session.Output.WaitUntilReadAsync(cancellationToken);
                    current.Watch.Resume();
                }
            }
            return (null, _finished ? null : Fault.NoFinish);
        }
        catch (FaultException superseded) when (superseded.Fault == Fault.Cancelled)
        {
            return _finished ? default : (await switcher.TakeOverAsync(), null);
        }
        catch (FaultException end) when (end.Fault.Class() is not (FaultClass.Client or FaultClass.Gateway))
        {
            return (null, _finished ? null : Classify(end, current.Lease));
        }
    }

    /// <returns>False when it breaks the protocol.</returns>
    private bool Accept(GenerateFrame frame, Attempt current)
    {
        var lease = current.Lease;
        var load = frame.Load;
        var isFirstToken = frame.Count > 0 && _core.NextIndex == 0;
        var verdict = _core.Accept(frame, out var violation);
        if (verdict == FrameVerdict.Violation)
        {
            session.Violated(_core.Choice, lease.Replica.Id, violation!);
            return false;
        }
        if (verdict == FrameVerdict.Diverged)
            throw NotRepeatable(violation!);
        if (verdict == FrameVerdict.Finish)
        {
            _finished = true;
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
            else if (_core.IsReplaying && current.AgeSinceStart > services.Options.MaxReplay)
                throw NotRepeatable($"that took more than {services.Options.MaxReplay.TotalSeconds:0.#} s");
            return true;
        }
        if (isFirstToken)
            lease.Replica.Pace.FirstToken(current.Watch.Age);
        AccountJournal();
        session.Forward(frame, _core.ResumeTier);
        return true;
    }

    private FaultException NotRepeatable(string why) => new(
        Fault.StreamLost,
        $"the answer can only continue after token {_core.NextIndex} by generating it again from the start, but {why}");

    private void AccountJournal()
    {
        var bytes = _core.JournalBytes;
        services.Statistics.Journaled(bytes - _journaledBytes);
        _journaledBytes = bytes;
        if (bytes > services.Options.JournalBytes && !_finished)
            throw new FaultException(
                Fault.StreamLost, $"the answer's journal of {bytes} bytes is over the bound of {services.Options.JournalBytes} bytes per session");
    }

    /// <returns>The fault, or null when the replica only had no slot.</returns>
    /// <exception cref="FaultException">The request is at fault.</exception>
    private Fault? Classify(FaultException end, ReplicaLease lease)
    {
        switch (end.Fault)
        {
            case Fault.NoSlot:
            case Fault.Draining when end.Load is not null:
                // Its load report keeps other requests away.
                services.Statistics.Refused();
                _core.Refused(lease.AskedAt);
                lease.Release(end.Fault, end.Load);
                return null;
            case var fault when fault.Class() == FaultClass.Request:
                throw new FaultException(fault, end.Message) { Engine = end.Engine };
            default:
                session.Faulted(_core.Choice, lease.Replica.Id, end);
                return end.Fault;
        }
    }

    private void GiveUp(ReplicaLease lease, Fault reason)
    {
        var replica = lease.Replica.Id;
        // The replica is taken out before its slot is offered again, so that the next waiter does not meet the same fault.
        if (reason.Class() == FaultClass.Connection)
            services.Fleet.MarkUnreachable(lease.Replica);
        lease.Release(reason);
        var verdict = _core.Lost(replica, reason);
        if (verdict is null && reason.CostsRetryBudget() && !services.Retries.TrySpend())
            verdict = $"{replica.Name} failed by {reason.ToWireName()} at token {_core.NextIndex}, and so many requests fail here that no more are retried";
        if (verdict is not null)
            throw new FaultException(Fault.StreamLost, verdict);
        services.Statistics.FailedOver(reason);
        session.FailedOver(new Failover(_core.Choice, _core.NextIndex, replica.Name, reason.ToWireName()));
    }
}
