using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Runs one choice of a session: a slot, an attempt on it, and after a fault the next, until the finish frame. A thin shell around
/// <see cref="BranchCore"/>.
/// </summary>
internal sealed class Branch(SessionServices services, GenerateRequest request, Arrival arrival, GenerationSession session)
{
    private readonly BranchCore _core = new(request, services.Options);
    private readonly string _model = request.Model;
    private long _journaledBytes;
    private bool _finished;

    /// <summary>Returns after the finish frame was written to the session's output.</summary>
    /// <exception cref="SessionException">The branch cannot be finished.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (!_finished)
            {
                using ReplicaLease lease = await AcquireAsync(cancellationToken);
                session.Dispatched(_core.Choice, lease.Replica.Id.Name);
                services.Statistics.AttemptStarted();
                if (await RunAttemptAsync(lease, cancellationToken) is { } fault)
                    GiveUp(lease, fault);
            }
        }
        finally
        {
            services.Statistics.Journaled(-_journaledBytes);
        }
    }

    private async Task<ReplicaLease> AcquireAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await services.Admission.AcquireAsync(_core.Need(_model, arrival), cancellationToken);
        }
        catch (AdmissionException refusal)
        {
            if (_core.NextIndex > 0)
                throw new SessionException(SessionError.StreamLost, $"the stream could not go on after token {_core.NextIndex}: {refusal.Message}");
            throw new SessionException(ToSessionError(refusal.Refusal), refusal.Message, refusal.RetryAfter);
        }
    }

    /// <summary>One attempt.</summary>
    /// <returns>Null when the branch is finished or the replica had no slot, else why the attempt must be given up.</returns>
    private async Task<FaultReason?> RunAttemptAsync(ReplicaLease lease, CancellationToken cancellationToken)
    {
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var watch = new AttemptWatch(services.Time, services.Options, attempt);
        try
        {
            await foreach (GenerateFrame frame in services.Link.GenerateAsync(lease.Replica, _core.BeginAttempt(), attempt.Token))
            {
                watch.Beat(token: frame.Count > 0);
                if (_finished)
                    continue;
                if (!Take(frame, lease))
                    return FaultReason.ProtocolError;
                if (session.Output.IsFull)
                {
                    watch.Pause();
                    await session.Output.WaitForRoomAsync(cancellationToken);
                    watch.Resume();
                }
            }
            return _finished ? null : FaultReason.NoFinish;
        }
        catch (OperationCanceledException) when (watch.Stall is not null && !cancellationToken.IsCancellationRequested)
        {
            return _finished ? null : watch.Stall;
        }
        catch (LinkException end)
        {
            return _finished ? null : Judge(end, lease);
        }
    }

    /// <summary>Takes a frame in.</summary>
    /// <returns>False when it breaks the protocol.</returns>
    private bool Take(GenerateFrame frame, ReplicaLease lease)
    {
        LoadReport? load = frame.Load;
        FrameVerdict verdict = _core.Accept(frame, out string? violation);
        if (verdict == FrameVerdict.Violation)
        {
            session.Violated(_core.Choice, lease.Replica.Id, violation!);
            return false;
        }
        if (verdict == FrameVerdict.Finish)
        {
            _finished = true;
            lease.Release(LeaseOutcome.Finished, load);
        }
        else if (load is not null)
        {
            services.Admission.Report(lease.Replica, load);
        }
        if (verdict == FrameVerdict.Drop)
        {
            if (frame.Attempt != _core.Attempt)
                services.Statistics.LateFrame();
            return true;
        }
        AccountJournal();
        session.Forward(frame, _core.ResumeTier);
        return true;
    }

    private void AccountJournal()
    {
        long bytes = _core.JournalBytes;
        services.Statistics.Journaled(bytes - _journaledBytes);
        _journaledBytes = bytes;
        if (bytes > services.Options.JournalBytes && !_finished)
            throw new SessionException(
                SessionError.StreamLost, $"the answer's journal of {bytes} bytes is over the bound of {services.Options.JournalBytes} bytes per session");
    }

    /// <summary>What a status of the replica, or a failure of the connection, means to the branch.</summary>
    private FaultReason? Judge(LinkException end, ReplicaLease lease)
    {
        switch (end.Error)
        {
            case LinkError.NoSlot:
                services.Statistics.Refused();
                _core.Refused(lease.AskedAt);
                lease.Release(LeaseOutcome.Refused, end.Load);
                return null;
            case LinkError.InvalidRequest:
                throw new SessionException(SessionError.InvalidRequest, end.Message);
            case LinkError.ContextLengthExceeded:
                throw new SessionException(SessionError.ContextLengthExceeded, end.Message);
            default:
                session.Faulted(_core.Choice, lease.Replica.Id, end);
                return end.Error switch
                {
                    LinkError.Unreachable => FaultReason.Unreachable,
                    LinkError.ConnectionLost => FaultReason.ConnectionLost,
                    LinkError.Draining => FaultReason.Draining,
                    LinkError.ModelNotFound => FaultReason.ModelGone,
                    LinkError.ResumeRefused => FaultReason.ResumeRefused,
                    _ => FaultReason.EngineError,
                };
        }
    }

    private void GiveUp(ReplicaLease lease, FaultReason reason)
    {
        ReplicaId replica = lease.Replica.Id;
        // The replica is taken out before its slot is offered again, so that the next in line does not run into the same wall.
        if (reason.IsOfConnection())
            services.Fleet.MarkUnreachable(lease.Replica);
        lease.Release(reason.IsOfEngine() ? LeaseOutcome.EngineFailed : LeaseOutcome.Faulted);
        string? verdict = _core.Lost(replica, reason);
        if (verdict is not null)
            throw new SessionException(SessionError.StreamLost, verdict);
        services.Statistics.FailedOver(reason);
        session.FailedOver(new Failover(_core.Choice, _core.NextIndex, replica.Name, reason.Word()));
    }

    private static SessionError ToSessionError(AdmissionRefusal refusal) => refusal switch
    {
        AdmissionRefusal.QueueFull => SessionError.QueueFull,
        AdmissionRefusal.QueueTimeout => SessionError.QueueTimeout,
        AdmissionRefusal.ModelNotFound => SessionError.ModelNotFound,
        _ => SessionError.NoReplica,
    };
}
