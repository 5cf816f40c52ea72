using Skein.Load;
using Skein.Operations.Fleet;

namespace Skein.Operations.Supervision;

/// <summary>A cluster on this machine: every member is a supervised child process.</summary>
public sealed class LocalCluster : IDisposable
{
    private const int MaxSeeds = 8;

    /// <summary>Beside the grace: gateways report first that they stop, and end what is left with an error.</summary>
    private static readonly TimeSpan GatewayStopSlack = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan ReplicaStop = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan ReadyTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ReadyPeriod = TimeSpan.FromMilliseconds(20);

    private readonly List<SupervisedMember> _members;
    private readonly ClientTls? _tls;
    private readonly CancellationTokenSource _stop = new();

    /// <param name="specs">Members in start order. The first is a gateway and the seed of all others.</param>
    /// <param name="say">Receives one line per event: an exit, a restart, a log line of a member.</param>
    /// <param name="tls">How the gateways are asked; null: the authorities of the system are trusted, and no certificate is shown.</param>
    public LocalCluster(
        IEnumerable<MemberSpec> specs, TimeSpan restartDelay, TimeProvider time, Action<string> say, ClientTls? tls = null)
    {
        _members = [.. specs.Select(spec => new SupervisedMember(spec, restartDelay, () => SeedsFor(spec.Name), time, say))];
        _tls = tls;
    }

    public IReadOnlyList<SupervisedMember> Members => _members;

    /// <summary>How long the gateways' streams may finish when the cluster stops: the members' own <c>--grace</c>. Default 5 s.</summary>
    public TimeSpan Grace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Starts the first member, then the others in parallel; returns when the first gateway reports all replicas ready.</summary>
    /// <param name="onReady">Called when a member is ready, from any thread.</param>
    /// <param name="cancellationToken">Ends the wait; the members keep running until <see cref="StopAsync"/>.</param>
    /// <exception cref="MemberFailedException">A member exited before it was ready.</exception>
    /// <exception cref="CommandFailedException">The gateway did not see all replicas in time.</exception>
    public async Task StartAsync(Action<SupervisedMember> onReady, CancellationToken cancellationToken)
    {
        await StartAsync(_members[0], onReady, cancellationToken);
        await Task.WhenAll(_members.Skip(1).Select(member => StartAsync(member, onReady, cancellationToken)));
        using var gateway = new GatewayClient(_members[0].LastReady!.HttpUrl, tls: _tls);
        using var timeout = new CancellationTokenSource(ReadyTimeout, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            while (!await gateway.IsReadyAsync(either.Token))
                await Task.Delay(ReadyPeriod, TimeProvider.System, either.Token);
        }
        catch (OperationCanceledException error) when (timeout.IsCancellationRequested)
        {
            throw new CommandFailedException(
                $"the cluster did not start: the gateway did not see all replicas within {ReadyTimeout.TotalSeconds:0} s", error);
        }
    }

    /// <summary>
    /// Lets the gateways finish their streams and leave, and then the replicas; kills gateways that remain 4 s after <see cref="Grace"/>, and replicas that
    /// remain 1.5 s later, or all at once when <paramref name="atOnce"/> is cancelled.
    /// </summary>
    public async Task StopAsync(CancellationToken atOnce)
    {
        await _stop.CancelAsync();
        // Replicas that stopped at the same time would end the streams that may still finish.
        await Task.WhenAll(_members.Where(member => member.IsGateway).Select(member => member.StoppedAsync(Grace + GatewayStopSlack, atOnce)));
        await Task.WhenAll(_members.Where(member => !member.IsGateway).Select(member => member.StoppedAsync(ReplicaStop, atOnce)));
    }

    public void Dispose() => _stop.Dispose();

    private async Task StartAsync(SupervisedMember member, Action<SupervisedMember> onReady, CancellationToken cancellationToken)
    {
        await member.StartAsync(_stop.Token).WaitAsync(cancellationToken);
        onReady(member);
    }

    private IEnumerable<string> SeedsFor(string name) =>
        _members.Where(member => member.Name != name && member.LastReady is not null).Select(member => member.LastReady!.Gossip).Take(MaxSeeds);
}
