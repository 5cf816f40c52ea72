using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// An attempt that runs beside a branch's current one and may replace it. It never touches the journal: the branch does, after promoting it.
/// Created, promoted and disposed by the branch; runs in the background.
/// </summary>
internal abstract class SecondaryAttempt(SessionServices services, SecondaryRequest request, AdmissionRequest need, CancellationToken branch) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(branch);
    private readonly Queue<GenerateFrame> _frames = [];
    private Attempt? _attempt;
    private volatile Replica? _replica;

    public SecondaryRequest Request => request;

    /// <summary>True once it may be promoted, false when it has failed or was not needed. Never throws.</summary>
    public Task<bool> Ready { get; private set; } = Task.FromResult(false);

    /// <summary>The replica it was sent to; null before.</summary>
    public Replica? Replica => _replica;

    /// <summary>The fault that ended it; null if none did.</summary>
    public Fault? FailedBy { get; private set; }

    protected SessionServices Services => services;

    protected AdmissionRequest Need => need;

    public void Begin() => Ready = RunAsync();

    /// <summary>Hands the attempt to the branch, with all its frames so far. Only after <see cref="Ready"/> was true.</summary>
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

    /// <summary>Waits until the attempt may start, and for its slot. No lease: it is not needed.</summary>
    /// <returns>The slot, and what is disposed once the attempt is ready or has failed.</returns>
    protected abstract ValueTask<(ReplicaLease? Lease, IDisposable? Turn)> ReserveAsync(CancellationToken cancellationToken);

    /// <summary>Decides by a frame whether the attempt may be promoted; null: another frame is needed.</summary>
    protected abstract bool? MayPromote(GenerateFrame frame);

    private async Task<bool> RunAsync()
    {
        IDisposable? turn = null;
        try
        {
            (var lease, turn) = await ReserveAsync(_stop.Token);
            if (lease is null)
                return false;
            _replica = lease.Replica;
            // The stop token ends the secondary attempt only; once promoted, the branch's own token must count.
            _attempt = new Attempt(services, lease, request.Request, branch);
            await using (_stop.Token.UnsafeRegister(static attempt => ((Attempt)attempt!).Supersede(), _attempt))
                return await ReadUntilDecidedAsync(_attempt);
        }
        catch (FaultException) when (_attempt is null)
        {
            return false; // No slot in time: the current attempt continues.
        }
        catch (FaultException refusal) when (refusal.Fault is Fault.NoSlot or Fault.Draining)
        {
            _attempt!.Lease.Release(refusal.Fault, refusal.Load);
            return false;
        }
        catch (FaultException end)
        {
            return end.Fault != Fault.Cancelled && Fail(end.Fault);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            return false;
        }
        finally
        {
            turn?.Dispose();
        }
    }

    private async Task<bool> ReadUntilDecidedAsync(Attempt attempt)
    {
        while (await attempt.MoveNextAsync())
        {
            var frame = attempt.Current;
            var isHeartbeat = frame.Start is null && frame.Count == 0 && frame.Finish is null;
            if (isHeartbeat)
                continue;
            _frames.Enqueue(frame);
            if (MayPromote(frame) is not { } mayPromote)
                continue;
            attempt.Watch.Pause();
            return mayPromote;
        }
        return Fail(Fault.NoFinish);
    }

    private bool Fail(Fault fault)
    {
        FailedBy = fault;
        // As for a current attempt: the replica is taken out before its slot is offered again.
        if (fault.Class() == FaultClass.Connection)
            services.Fleet.MarkUnreachable(_attempt!.Lease.Replica);
        _attempt!.Lease.Release(fault);
        return false;
    }
}

/// <summary>Make-before-break: prefills the prompt and the journal on another replica, and waits to be continued.</summary>
internal sealed class HandoverAttempt(
    SessionServices services, SecondaryRequest request, AdmissionRequest need, Fault reason, CancellationToken branch)
    : SecondaryAttempt(services, request, need, branch)
{
    /// <summary>Why the branch is moved.</summary>
    public Fault Reason => reason;

    protected override async ValueTask<(ReplicaLease? Lease, IDisposable? Turn)> ReserveAsync(CancellationToken cancellationToken)
    {
        // Only a drain is worth waiting for a slot: a slow replica still produces tokens.
        if (reason != Fault.Draining)
            return (Services.Admission.TryAcquire(Need), null);
        // A drain moves many streams at the same time. All their prefills at once would stall the streams that run there already, so they take
        // turns; and a slot must not be idle while its stream waits for its turn.
        while (true)
        {
            var turn = await Services.HandOvers.EnterAsync(cancellationToken);
            if (Services.Admission.TryAcquire(Need) is { } free)
                return (free, turn);
            turn.Dispose();
            var lease = await Services.Admission.AcquireAsync(Need, cancellationToken);
            if (Services.HandOvers.TryEnter() is { } next)
                return (lease, next);
            lease.Dispose();
        }
    }

    protected override bool? MayPromote(GenerateFrame frame) => frame.Start is not null ? true : null;
}

/// <summary>Hedge: asks a second replica when the first token is late; the attempt that has it first continues.</summary>
internal sealed class HedgeAttempt(
    SessionServices services, SecondaryRequest request, AdmissionRequest need, Attempt current, FirstTokenRace race, TimeSpan delay, CancellationToken branch)
    : SecondaryAttempt(services, request, need, branch)
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(1);

    // A hedge that was denied is tried again: the later the first token, the more likely it is worth its slot.
    protected override async ValueTask<(ReplicaLease? Lease, IDisposable? Turn)> ReserveAsync(CancellationToken cancellationToken)
    {
        for (var wait = TimeSpan.FromTicks(Math.Max(ShortestWait.Ticks, delay.Ticks)); ; wait *= 2)
        {
            await Task.Delay(wait, Services.Time, cancellationToken);
            // Only a slot that no request waits for: a hedge must never make an overload worse.
            if (Services.Admission.TryAcquire(Need) is not { } lease)
                continue;
            if (Services.Hedging.TrySpend())
            {
                Services.Statistics.Hedged();
                return (lease, null);
            }
            lease.Dispose();
        }
    }

    protected override bool? MayPromote(GenerateFrame frame)
    {
        if (frame.Count == 0 && frame.Finish is null)
            return null;
        if (!race.TryWin((int)Request.Request.Attempt))
            return false;
        Services.Statistics.HedgeWon();
        current.EndsAs = Fault.Straggler;
        current.Supersede();
        return true;
    }
}
