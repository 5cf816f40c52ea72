using System.Runtime.CompilerServices;
using Google.Protobuf;
using Skein.Engines;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Simulation.Failover;

/// <summary>Delivers frames and heartbeats from simulated replicas, and their faults as a connection would show them.</summary>
internal sealed class SimulatedLink(IReadOnlyDictionary<string, SimulatedReplica> replicas, TimeProvider time) : IReplicaLink
{
    private static readonly TimeSpan Heartbeat = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Latency = TimeSpan.FromMilliseconds(1);

    private readonly Dictionary<(string Session, uint Choice, uint Attempt), StandbyCall> _standby = [];

    public async IAsyncEnumerable<GenerateFrame> GenerateAsync(
        Replica replica, GenerateRequest request, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var target = await ReachAsync(replica, cancellationToken);
        if (target.IsDraining)
            throw new FaultException(Fault.Draining, "draining", load: target.Report());
        if (target.IsFull)
            throw new FaultException(Fault.NoSlot, "no slot", load: target.Report());
        var generation = target.Generation;
        var failures = target.EngineFailures;
        target.Running++;
        // Ends the engine before its enumerator is disposed: it may be in the middle of a step.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var frames = Frames(target.Engine, request, stop.Token).GetAsyncEnumerator(stop.Token);
        var next = frames.MoveNextAsync().AsTask();
        try
        {
            while (true)
            {
                var isToken = await WaitAsync(next, target, generation, failures, cancellationToken);
                if (target.Delay > TimeSpan.Zero && isToken)
                    await Task.Delay(target.Delay, time, cancellationToken);
                if (!isToken)
                {
                    yield return new GenerateFrame { Attempt = request.Attempt, Choice = request.Choice };
                    continue;
                }
                if (!await next)
                    yield break;
                var frame = frames.Current;
                (frame.Attempt, frame.Choice) = (request.Attempt, request.Choice);
                if (frame.Start is not null || frame.Finish is not null)
                    frame.Load = target.Report();
                yield return frame;
                next = frames.MoveNextAsync().AsTask();
            }
        }
        finally
        {
            if (target.Generation == generation && target.IsUp)
                target.Running--;
            stop.Cancel();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            await frames.DisposeAsync();
        }
    }

    public async Task ContinueAsync(Replica replica, ContinueRequest request, CancellationToken cancellationToken)
    {
        var target = await ReachAsync(replica, cancellationToken);
        if (!_standby.Remove((request.Session, request.Choice, request.Attempt), out var standby) || !target.IsUp)
            throw new FaultException(Fault.ResumeRefused, "there is no standby attempt");
        standby.Continue(request);
    }

    public async Task ProbeAsync(Replica replica, CancellationToken cancellationToken) => await ReachAsync(replica, cancellationToken);

    private async Task<SimulatedReplica> ReachAsync(Replica replica, CancellationToken cancellationToken)
    {
        var target = replicas[replica.Id.Name];
        await Task.Delay(Latency, time, cancellationToken);
        using var wake = new Wake();
        wake.Follow(target, cancellationToken);
        while (target.IsFrozen)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await wake.WaitAsync();
        }
        return target.IsUp && target.Generation == replica.Id.Generation ? target : throw new FaultException(Fault.Unreachable, "refused");
    }

    private IAsyncEnumerable<GenerateFrame> Frames(IInferenceEngine engine, GenerateRequest request, CancellationToken cancellationToken)
    {
        if (!request.Hold)
            return engine.GenerateAsync(request, cancellationToken);
        var standby = new StandbyCall(request.Resume);
        _standby[(request.Session, request.Choice, request.Attempt)] = standby;
        return engine.GenerateStandbyAsync(request, standby.JournalAsync, cancellationToken);
    }

    /// <summary>Waits for the engine or for the time of a heartbeat.</summary>
    /// <returns>True when the engine has a frame, or has ended.</returns>
    private async Task<bool> WaitAsync(Task<bool> next, SimulatedReplica target, ulong generation, int failures, CancellationToken cancellationToken)
    {
        var isBeat = false;
        using var wake = new Wake();
        wake.Follow(target, cancellationToken);
        await using var heartbeat = time.CreateTimer(
            _ =>
            {
                isBeat = true;
                wake.Up();
            },
            null, Heartbeat, Timeout.InfiniteTimeSpan);
        wake.Follow(next);
        while (true)
        {
            if (!target.IsUp || target.Generation != generation)
                throw new FaultException(Fault.ConnectionLost, "reset");
            if (target.EngineFailures != failures)
                throw new FaultException(Fault.EngineFailed, "the engine failed");
            if (!target.IsFrozen && (next.IsCompleted || isBeat))
                return next.IsCompleted;
            cancellationToken.ThrowIfCancellationRequested();
            await wake.WaitAsync();
        }
    }

    /// <summary>Waits for the first of several events on the same thread, unlike the framework's waits.</summary>
    private sealed class Wake : IDisposable
    {
        private TaskCompletionSource _up = new();
        private SimulatedReplica? _replica;
        private CancellationTokenRegistration _registration;

        public void Follow(SimulatedReplica replica, CancellationToken cancellationToken)
        {
            _replica = replica;
            _replica.Changed += Up;
            _registration = cancellationToken.UnsafeRegister(static wake => ((Wake)wake!).Up(), this);
        }

        public void Follow(Task task) => task.GetAwaiter().OnCompleted(Up);

        public void Up() => _up.TrySetResult();

        public async Task WaitAsync()
        {
            await _up.Task;
            _up = new TaskCompletionSource();
        }

        public void Dispose()
        {
            if (_replica is not null)
                _replica.Changed -= Up;
            _registration.Dispose();
        }
    }

    private sealed class StandbyCall(Resume? before)
    {
        private readonly TaskCompletionSource<Resume?> _journal = new();

        public async Task<Resume?> JournalAsync(CancellationToken cancellationToken)
        {
            await using var registration = cancellationToken.UnsafeRegister(_ => _journal.TrySetCanceled(cancellationToken), null);
            return await _journal.Task;
        }

        public void Continue(ContinueRequest since)
        {
            var journal = before?.Clone() ?? new Resume();
            journal.TokenIds.Add(since.TokenIds);
            journal.Text = ByteString.CopyFrom([.. journal.Text.Span, .. since.Text.Span]);
            journal.NextIndex = since.NextIndex;
            journal.Fingerprint = since.Fingerprint;
            _journal.TrySetResult(since.NextIndex == 0 ? before : journal);
        }
    }
}
