namespace Skein.Simulation.Failover;

/// <summary>Harms replicas, one after the other; two are never harmed.</summary>
internal sealed class Faults(FailoverWorld world, IRandomSource random)
{
    private const int LeftAlone = 2;
    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan GroupNotices = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Down = TimeSpan.FromSeconds(2);

    private readonly int[] _counts = new int[5];
    private readonly HashSet<SimulatedReplica> _harmed = [];

    public IReadOnlyList<(string Kind, int Count)> Counts =>
        [("kill", _counts[0]), ("freeze", _counts[1]), ("engine failure", _counts[2]), ("drain", _counts[3]), ("slow", _counts[4])];

    /// <summary>Injects faults until <paramref name="until"/>, then waits until every replica has recovered.</summary>
    public async Task InjectAsync(Func<bool> until)
    {
        var running = new List<Task>();
        while (!until())
        {
            await Task.Delay(Upto(Between * 2), world.Time);
            SimulatedReplica[] healthy = [.. world.Replicas.Where(replica => !_harmed.Contains(replica))];
            if (healthy.Length > LeftAlone)
                running.Add(HarmAsync(healthy[random.Next(healthy.Length)], random.Next(_counts.Length)));
            running.RemoveAll(task => task.IsCompletedSuccessfully);
        }
        await Task.WhenAll(running);
    }

    private async Task HarmAsync(SimulatedReplica replica, int kind)
    {
        _counts[kind]++;
        _harmed.Add(replica);
        switch (kind)
        {
            case 0:
                await KillAsync(replica);
                break;
            case 1:
                replica.Freeze(true);
                await Task.Delay(Upto(Down * 2), world.Time);
                replica.Freeze(false);
                break;
            case 2:
                replica.FailEngine();
                break;
            case 3:
                await DrainAsync(replica);
                break;
            default:
                replica.Slow(TimeSpan.FromMilliseconds(200));
                await Task.Delay(Upto(Down * 3), world.Time);
                replica.Slow(TimeSpan.Zero);
                break;
        }
        _harmed.Remove(replica);
    }

    private async Task KillAsync(SimulatedReplica replica)
    {
        replica.Kill();
        await Task.Delay(GroupNotices, world.Time);
        world.Publish();
        await Task.Delay(Upto(Down), world.Time);
        replica.Start();
        world.Publish();
    }

    private async Task DrainAsync(SimulatedReplica replica)
    {
        replica.Drain(true);
        await Task.Delay(Upto(GroupNotices), world.Time);
        world.Publish();
        while (replica.Running > 0)
            await Task.Delay(TimeSpan.FromMilliseconds(50), world.Time);
        replica.Drain(false);
        world.Publish();
    }

    private TimeSpan Upto(TimeSpan most) => TimeSpan.FromMilliseconds(1 + random.Next((int)most.TotalMilliseconds));
}
