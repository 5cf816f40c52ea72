using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>What a secondary attempt sends, and how much of the answer its journal contained then.</summary>
/// <param name="Need">What it needs of that replica.</param>
/// <param name="FromIndex">Tokens in its journal.</param>
/// <param name="FromTextByte">Answer bytes in its journal.</param>
/// <param name="FromRawByte">Bytes of structured deltas in its journal.</param>
internal sealed record SecondaryRequest(GenerateRequest Request, AdmissionRequest Need, int FromIndex, int FromTextByte, int FromRawByte);

/// <summary>An attempt beside a branch's current one. Runs in the background; the branch creates, promotes and disposes it.</summary>
internal abstract class SecondaryAttempt(SessionServices services, SecondaryRequest request, CancellationToken branch) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(branch);
    private readonly Queue<GenerateFrame> _frames = [];
    private volatile Attempt? _attempt;

    public SecondaryRequest Request => request;

    /// <summary>True once it may be promoted, false when it has failed or was not needed. Never throws.</summary>
    public Task<bool> Ready { get; private set; } = Task.FromResult(false);

    public Replica? Replica => _attempt?.Lease.Replica;

    /// <summary>The fault that ended it; null if none did.</summary>
    public Fault? FailedBy { get; private set; }

    protected SessionServices Services => services;

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
internal sealed class HandoverAttempt(SessionServices services, SecondaryRequest request, Fault reason, CancellationToken branch)
    : SecondaryAttempt(services, request, branch)
{
    public Fault Reason => reason;

    protected override async ValueTask<(ReplicaLease? Lease, IDisposable? Turn)> ReserveAsync(CancellationToken cancellationToken)
    {
        // Only a drain is worth waiting for a slot: a slow replica still produces tokens.
        if (reason != Fault.Draining)
            return (Services.Admission.TryAcquire(Request.Need), null);
        // A drain moves many streams at the same time. All their prefills at once would stall the streams that run there already, so they take
        // turns; and a slot must not be idle while its stream waits for its turn.
        while (true)
        {
            var turn = await Services.HandOvers.EnterAsync(cancellationToken);
            if (Services.Admission.TryAcquire(Request.Need) is { } free)
                return (free, turn);
            turn.Dispose();
            var lease = await Services.Admission.AcquireAsync(Request.Need, cancellationToken);
            if (Services.HandOvers.TryEnter() is { } next)
                return (lease, next);
            lease.Dispose();
        }
    }

    protected override bool? MayPromote(GenerateFrame frame) => frame.Start is not null ? true : null;
}

/// <summary>Hedge: asks a second replica when the first token is late; the attempt that has it first continues.</summary>
internal sealed class HedgeAttempt(SessionServices services, SecondaryRequest request, Attempt current, TimeSpan delay, CancellationToken branch)
    : SecondaryAttempt(services, request, branch)
{
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(1);
    private int _winner;

    /// <summary>Claims the first token for an attempt: true for the one that claims first, however often it asks. Thread-safe.</summary>
    public bool TryWin(int attempt)
    {
        var before = Interlocked.CompareExchange(ref _winner, attempt, 0);
        return before == 0 || before == attempt;
    }

    // A hedge that got no slot or no budget is tried again: the later the first token, the more useful the hedge.
    protected override async ValueTask<(ReplicaLease? Lease, IDisposable? Turn)> ReserveAsync(CancellationToken cancellationToken)
    {
        for (var wait = TimeSpan.FromTicks(Math.Max(ShortestWait.Ticks, delay.Ticks)); ; wait *= 2)
        {
            await Task.Delay(wait, Services.Time, cancellationToken);
            // Only a slot that no request waits for: a hedge must never make an overload worse.
            if (Services.Admission.TryAcquire(Request.Need) is not { } lease)
                continue;
            if (Services.Hedging.Budget.TrySpend())
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
        if (!TryWin((int)Request.Request.Attempt))
            return false;
        Services.Statistics.HedgeWon();
        current.EndsAs = Fault.Straggler;
        current.Supersede();
        return true;
    }
}
