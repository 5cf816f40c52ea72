using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;
using Skein.Operations.Fleet;
using Skein.Operations.Supervision;

namespace Skein.Operations.Chaos;

/// <summary>Injects faults into the replicas of a local cluster. Safe for concurrent calls for different replicas.</summary>
/// <param name="cable">Connects the members, one host per member in the same order; null: loopback, where no packet is lost.</param>
public sealed class LocalChaosCluster(LocalCluster cluster, Cable? cable, GatewayClient gateway, TimeProvider time) : IChaosCluster
{
    private const double Loss = 0.3;

    private static readonly TimeSpan RecoveryTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan PollPeriod = TimeSpan.FromMilliseconds(50);

    // A slow process runs a tenth of the time, in slices too short to be detected as a freeze.
    private static readonly TimeSpan SlowStopped = TimeSpan.FromMilliseconds(90);
    private static readonly TimeSpan SlowRunning = TimeSpan.FromMilliseconds(10);

    private int _revision;

    public long PacketsLost => cable?.Lost ?? 0;

    public IReadOnlyList<string> Replicas { get; } =
        [.. cluster.Members.Select(member => member.Name).Where(name => name.StartsWith("replica-", StringComparison.Ordinal))];

    public async Task InjectAsync(InjectedFault fault, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(RecoveryTimeout + fault.Duration, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await InjectAndRecoverAsync(fault, either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new ChaosException(
                $"{fault.Replica} did not recover within {RecoveryTimeout.TotalSeconds:0} s after the fault '{ChaosRun.NameOf(fault.Kind)}'");
        }
        catch (Exception error) when (error is CommandFailedException or UsageException)
        {
            throw new ChaosException($"{fault.Replica}, fault '{ChaosRun.NameOf(fault.Kind)}': {error.Message}", error);
        }
    }

    private async Task InjectAndRecoverAsync(InjectedFault fault, CancellationToken cancellationToken)
    {
        var before = await RowAsync(fault.Replica, _ => true, cancellationToken);
        var processId = (int)before.Pid;
        Func<MemberRow, bool> isRecovered = IsHealthy;
        bool IsRestarted(MemberRow row) => row.Generation > before.Generation && IsHealthy(row);
        switch (fault.Kind)
        {
            case FaultKind.Kill:
                ProcessSignal.Send(processId, ProcessSignal.Kill);
                isRecovered = IsRestarted;
                break;
            case FaultKind.Restart:
                ProcessSignal.Send(processId, ProcessSignal.Terminate);
                isRecovered = IsRestarted;
                break;
            case FaultKind.Upgrade:
                var revision = $"chaos-{Interlocked.Increment(ref _revision)}";
                await DrainAsync(fault.Replica, cancellationToken);
                cluster.Members.Single(member => member.Name == fault.Replica).Restart(revision);
                isRecovered = row => IsRestarted(row) && row.Revision == revision;
                break;
            case FaultKind.Drain:
                await DrainAsync(fault.Replica, cancellationToken);
                await gateway.UndrainAsync(fault.Replica, cancellationToken);
                break;
            case FaultKind.Freeze:
                await FreezeAsync(processId, fault.Duration, cancellationToken);
                break;
            case FaultKind.Slow:
                var start = time.GetTimestamp();
                while (time.GetElapsedTime(start) < fault.Duration)
                {
                    await FreezeAsync(processId, SlowStopped, cancellationToken);
                    await Task.Delay(SlowRunning, time, cancellationToken);
                }
                break;
            case FaultKind.Loss or FaultKind.Cut:
                await LosePacketsAsync(fault, cancellationToken);
                break;
            default:
                throw new ChaosException($"the fault '{ChaosRun.NameOf(fault.Kind)}' is not supported here");
        }
        await RowAsync(fault.Replica, isRecovered, cancellationToken);
    }

    private async Task LosePacketsAsync(InjectedFault fault, CancellationToken cancellationToken)
    {
        if (cable is null)
            throw new ChaosException($"the fault '{ChaosRun.NameOf(fault.Kind)}' needs replicas in networks of their own");
        var host = cluster.Members.TakeWhile(member => member.Name != fault.Replica).Count();
        cable.SetLoss(host, fault.Kind == FaultKind.Cut ? 1 : Loss);
        try
        {
            await Task.Delay(fault.Duration, time, cancellationToken);
        }
        finally
        {
            cable.SetLoss(host, 0);
        }
    }

    private async Task DrainAsync(string name, CancellationToken cancellationToken)
    {
        var row = await gateway.DrainAsync(name, TimeSpan.Zero, cancellationToken);
        while (row.InFlight > 0)
        {
            await Task.Delay(PollPeriod, time, cancellationToken);
            row = await gateway.ReplicaAsync(name, cancellationToken);
        }
    }

    private async Task FreezeAsync(int processId, TimeSpan duration, CancellationToken cancellationToken)
    {
        ProcessSignal.Send(processId, ProcessSignal.Stop);
        try
        {
            await Task.Delay(duration, time, cancellationToken);
        }
        finally
        {
            ProcessSignal.Send(processId, ProcessSignal.Continue);
        }
    }

    private async Task<MemberRow> RowAsync(string name, Func<MemberRow, bool> condition, CancellationToken cancellationToken)
    {
        while (true)
        {
            var rows = await gateway.MembersAsync(cancellationToken);
            if (rows.FirstOrDefault(row => row.Name == name) is { } found && condition(found))
                return found;
            await Task.Delay(PollPeriod, time, cancellationToken);
        }
    }

    private static bool IsHealthy(MemberRow row) => row.State == "alive" && !row.Draining;
}
