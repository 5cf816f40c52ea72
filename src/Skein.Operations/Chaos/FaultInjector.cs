using Skein.Operations.Fleet;
using Skein.Operations.Supervision;
using Skein.Gateway.Admin;
using Skein.Load.Chaos;
using Skein.Load.Chaos.Network;

namespace Skein.Operations.Chaos;

/// <summary>Harms the replicas of a cluster whose processes this one has started. Thread-safe for different replicas.</summary>
/// <param name="cluster">Whose.</param>
/// <param name="cable">What joins them, a host for each member in the same order; null: loopback, where no packet is lost.</param>
/// <param name="fleet">Asks its gateway.</param>
/// <param name="time">Time.</param>
public sealed class FaultInjector(LocalCluster cluster, Cable? cable, FleetClient fleet, TimeProvider time) : IChaosCluster
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(50);

    // A tenth of the time, in pieces too short to be taken for a freeze.
    private static readonly TimeSpan SlowStands = TimeSpan.FromMilliseconds(90);
    private static readonly TimeSpan SlowRuns = TimeSpan.FromMilliseconds(10);

    private const double Loss = 0.3;

    private int _revision;

    public long PacketsLost => cable?.Lost ?? 0;

    public IReadOnlyList<string> Replicas { get; } = [.. cluster.Members.Select(member => member.Name).Where(name => name.StartsWith("replica-", StringComparison.Ordinal))];

    public async Task InjectAsync(Fault fault, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(Patience + fault.Duration, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await HarmAsync(fault, either.Token);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            throw new ChaosException($"{fault.Replica} did not come back within {Patience.TotalSeconds:0} s after the fault '{ChaosRun.Word(fault.Kind)}'");
        }
        catch (Exception error) when (error is CommandFailedException or UsageException)
        {
            throw new ChaosException($"{fault.Replica}, fault '{ChaosRun.Word(fault.Kind)}': {error.Message}", error);
        }
    }

    private async Task HarmAsync(Fault fault, CancellationToken cancellationToken)
    {
        var before = await RowAsync(fault.Replica, _ => true, cancellationToken);
        bool IsNewLife(MemberRow row) => row.Generation > before.Generation && IsWell(row);
        switch (fault.Kind)
        {
            case FaultKind.Kill:
                ProcessSignal.Send((int)before.Pid, ProcessSignal.Kill);
                await RowAsync(fault.Replica, IsNewLife, cancellationToken);
                break;
            case FaultKind.Restart:
                ProcessSignal.Send((int)before.Pid, ProcessSignal.Terminate);
                await RowAsync(fault.Replica, IsNewLife, cancellationToken);
                break;
            case FaultKind.Upgrade:
                var revision = $"chaos-{Interlocked.Increment(ref _revision)}";
                await DrainAsync(fault.Replica, cancellationToken);
                cluster.Members.Single(member => member.Name == fault.Replica).StartAgain(revision);
                await RowAsync(fault.Replica, row => IsNewLife(row) && row.Revision == revision, cancellationToken);
                break;
            case FaultKind.Drain:
                await DrainAsync(fault.Replica, cancellationToken);
                await fleet.UndrainAsync(fault.Replica, cancellationToken);
                await RowAsync(fault.Replica, IsWell, cancellationToken);
                break;
            case FaultKind.Freeze:
                await FreezeAsync((int)before.Pid, fault.Duration, cancellationToken);
                await RowAsync(fault.Replica, IsWell, cancellationToken);
                break;
            case FaultKind.Slow:
                var start = time.GetTimestamp();
                while (time.GetElapsedTime(start) < fault.Duration)
                {
                    await FreezeAsync((int)before.Pid, SlowStands, cancellationToken);
                    await Task.Delay(SlowRuns, time, cancellationToken);
                }
                await RowAsync(fault.Replica, IsWell, cancellationToken);
                break;
            case FaultKind.Loss or FaultKind.Cut:
                await LosePacketsAsync(fault, cancellationToken);
                await RowAsync(fault.Replica, IsWell, cancellationToken);
                break;
            default:
                throw new ChaosException($"the fault '{ChaosRun.Word(fault.Kind)}' is not known here");
        }
    }

    private async Task LosePacketsAsync(Fault fault, CancellationToken cancellationToken)
    {
        if (cable is null)
            throw new ChaosException($"the fault '{ChaosRun.Word(fault.Kind)}' needs replicas in networks of their own");
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
        var row = await fleet.DrainAsync(name, TimeSpan.Zero, cancellationToken);
        while (row.InFlight > 0)
        {
            await Task.Delay(LookEvery, time, cancellationToken);
            row = await fleet.LookAsync(name, cancellationToken);
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

    /// <summary>The member's row, once it is as wanted.</summary>
    private async Task<MemberRow> RowAsync(string name, Func<MemberRow, bool> isWanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            var rows = await fleet.MembersAsync(cancellationToken);
            if (rows.FirstOrDefault(row => row.Name == name) is { } found && isWanted(found))
                return found;
            await Task.Delay(LookEvery, time, cancellationToken);
        }
    }

    private static bool IsWell(MemberRow row) => row.State == "alive" && !row.Draining;
}
