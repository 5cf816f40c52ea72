using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// An attempt that runs beside a branch's current one and may take its place. It never touches the journal: the branch alone does, after
/// it has promoted the challenger. Created, asked and disposed by the branch; runs in the background.
/// </summary>
internal abstract class SecondaryAttempt(SessionServices services, Challenge challenge, AdmissionRequest need, CancellationToken branch) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(branch);
    private readonly Queue<GenerateFrame> _frames = [];
    private IDisposable? _turn;
    private Attempt? _attempt;
    private volatile Replica? _replica;

    public Challenge Challenge => challenge;

    /// <summary>True once it may be promoted, false when it has failed or was not needed. Never throws.</summary>
    public Task<bool> Ready { get; private set; } = Task.FromResult(false);

    /// <summary>The replica it was sent to; null before.</summary>
    public Replica? Replica => _replica;

    /// <summary>How it failed; null when it did not, or through no fault.</summary>
    public Fault? FailedBy { get; private set; }

    protected SessionServices Services => services;

    protected AdmissionRequest Need => need;

    public void Begin() => Ready = RunAsync();

    /// <summary>Hands the attempt over to the branch, with all its frames so far. Only after <see cref="Ready"/> was true.</summary>
    public Attempt Take()
    {
        var taken = _attempt!;
        _attempt = null;
        taken.ReadAgain(_frames);
        taken.Watch.Resume();
        return taken;
    }

    public async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        await Ready;
        if (_attempt is not null)
            await _attempt.DisposeAsync();
        _stop.Dispose();
    }

    /// <summary>Waits for the moment and the slot; null when there is none.</summary>
    protected abstract ValueTask<ReplicaLease?> ReserveAsync(CancellationToken cancellationToken);

    /// <summary>Waits until it may load its replica with its prompt; what it returns is disposed once it is ready, or has failed.</summary>
    protected virtual ValueTask<IDisposable?> TurnAsync(CancellationToken cancellationToken) => ValueTask.FromResult<IDisposable?>(null);

    /// <summary>Looks at a frame: null when another one is needed, else whether the challenger may be promoted.</summary>
    protected abstract bool? Classify(GenerateFrame frame);

    private async Task<bool> RunAsync()
    {
        try
        {
            var lease = await ReserveAsync(_stop.Token);
            if (lease is null)
                return false;
            _turn = await TakeTurnAsync(lease);
            _replica = lease.Replica;
            // The stop token ends the challenger alone; once promoted, the branch's own token must count.
            _attempt = new Attempt(services, lease, challenge.Request, branch);
            await using (_stop.Token.UnsafeRegister(static attempt => ((Attempt)attempt!).Supersede(), _attempt))
                return await ReadUntilJudgedAsync(_attempt);
        }
        catch (FaultException) when (_attempt is null)
        {
            return false; // No slot in time: the current attempt goes on.
        }
        catch (AttemptStoppedException stopped)
        {
            return stopped.Stall is { } stall && Fail(stall);
        }
        catch (FaultException refusal) when (refusal.Fault is Fault.NoSlot or Fault.Draining)
        {
            _attempt!.Lease.Release(refusal.Fault, refusal.Load);
            return false;
        }
        catch (FaultException end)
        {
            return Fail(end.Fault);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            _turn?.Dispose();
        }
    }

    private async ValueTask<IDisposable?> TakeTurnAsync(ReplicaLease lease)
    {
        try
        {
            return await TurnAsync(_stop.Token);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    private async Task<bool> ReadUntilJudgedAsync(Attempt attempt)
    {
        while (await attempt.MoveNextAsync())
        {
            var frame = attempt.Current;
            var isHeartbeat = frame.Start is null && frame.Count == 0 && frame.Finish is null;
            if (isHeartbeat)
                continue;
            _frames.Enqueue(frame);
            if (Classify(frame) is not { } mayTakeOver)
                continue;
            attempt.Watch.Pause();
            return mayTakeOver;
        }
        return Fail(Fault.NoFinish);
    }

    private bool Fail(Fault reason)
    {
        FailedBy = reason;
        // As for a current attempt: taken out before its slot is offered again.
        if (reason.Class() == FaultClass.Connection)
            services.Fleet.MarkUnreachable(_attempt!.Lease.Replica);
        _attempt!.Lease.Release(reason);
        return false;
    }
}

/// <summary>Make-before-break: reads the prompt and the journal on another replica, and waits to be continued.</summary>
internal sealed class HandoverAttempt(
    SessionServices services, Challenge challenge, AdmissionRequest need, Fault reason, CancellationToken branch)
    : SecondaryAttempt(services, challenge, need, branch)
{
    /// <summary>Why the branch is moved.</summary>
    public Fault Reason => reason;

    // A drain is worth waiting for a slot; a slow replica still gives tokens.
    protected override async ValueTask<ReplicaLease?> ReserveAsync(CancellationToken cancellationToken) =>
        reason == Fault.Draining
            ? await Services.Admission.AcquireAsync(Need, cancellationToken)
            : Services.Admission.TryAcquire(Need);

    // A drained replica has many streams, which all come at once: what they have others read is read one after the other anyway, and with all of it at
    // once the streams that run there would stand still.
    protected override async ValueTask<IDisposable?> TurnAsync(CancellationToken cancellationToken) =>
        reason == Fault.Draining ? await Services.HandOvers.EnterAsync(cancellationToken) : null;

    protected override bool? Classify(GenerateFrame frame) => frame.Start is not null ? true : null;
}

/// <summary>Hedge: asks a second replica when the first token is late; whichever has it first goes on.</summary>
internal sealed class HedgeAttempt(
    SessionServices services, Challenge challenge, AdmissionRequest need, Attempt current, FirstTokenRace race, TimeSpan delay, CancellationToken branch)
    : SecondaryAttempt(services, challenge, need, branch)
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(1);

    // Denied once, it is not denied for good: the longer the first token is late, the surer it is that a hedge is worth its slot.
    protected override async ValueTask<ReplicaLease?> ReserveAsync(CancellationToken cancellationToken)
    {
        for (var wait = TimeSpan.FromTicks(Math.Max(ShortestWait.Ticks, delay.Ticks)); ; wait *= 2)
        {
            await Task.Delay(wait, Services.Time, cancellationToken);
            // Only a slot nobody waits for: a hedge must never make an overload worse.
            if (Services.Admission.TryAcquire(Need) is not { } lease)
                continue;
            if (Services.Hedging.TrySpend())
            {
                Services.Statistics.Hedged();
                return lease;
            }
            lease.Dispose();
        }
    }

    protected override bool? Classify(GenerateFrame frame)
    {
        if (frame.Count == 0 && frame.Finish is null)
            return null;
        if (!race.TryWin((int)Challenge.Request.Attempt))
            return false;
        Services.Statistics.HedgeWon();
        current.EndsAs = Fault.Straggler;
        current.Supersede();
        return true;
    }
}
