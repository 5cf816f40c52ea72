using Skein.Operations.Fleet;


namespace Skein.Operations.Supervision;

/// <summary>Starts a cluster and tells how that goes.</summary>
public static class ClusterStart
{
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(60);

    /// <summary>Returns once the first gateway serves with all replicas.</summary>
    /// <exception cref="MemberFailedException">A member ended before it was up.</exception>
    /// <exception cref="CommandFailedException">The gateway did not see all replicas in time.</exception>
    public static async Task RunAsync(LocalCluster cluster, CancellationToken cancellationToken)
    {
        await Console.Error.WriteLineAsync($"starting {cluster.Members.Count} members …");
        await cluster.StartAsync(member => Console.Error.WriteLine($"  {member.Name} is up (pid {member.ProcessId})"), cancellationToken);
        using var gateway = new GatewayClient(new Uri($"http://{cluster.Members[0].LastReady!.Http}"));
        using var timeout = new CancellationTokenSource(ReadyTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            while (!await gateway.IsReadyAsync(either.Token))
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, either.Token);
        }
        catch (OperationCanceledException error) when (timeout.IsCancellationRequested)
        {
            throw new CommandFailedException($"the cluster did not start: the gateway did not see all replicas within {ReadyTimeout.TotalSeconds:0} s", error);
        }
    }
}
