namespace Skein.Operations.Supervision;

/// <summary>All members of a cluster on this machine, each in a process of its own.</summary>
public sealed class LocalCluster : IDisposable
{
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(5);

    private readonly List<SupervisedMember> _members;
    private readonly CancellationTokenSource _stop = new();

    /// <param name="specs">Members in the order of their start; the first is the seed of all others.</param>
    /// <param name="restartDelay">Time between the exit of a process and its next life.</param>
    /// <param name="time">Time.</param>
    /// <param name="say">Gets one line for each thing that happens.</param>
    public LocalCluster(IEnumerable<MemberSpec> specs, TimeSpan restartDelay, TimeProvider time, Action<string> say) =>
        _members = [.. specs.Select(spec => new SupervisedMember(spec, restartDelay, () => SeedsFor(spec.Name), time, say))];

    public IReadOnlyList<SupervisedMember> Members => _members;

    /// <summary>Starts the first member, then the others together, and waits until all are up.</summary>
    /// <exception cref="MemberFailedException">One ended before it was up; the message says which and why.</exception>
    public async Task StartAsync(Action<SupervisedMember> onUp, CancellationToken cancellationToken)
    {
        await StartAsync(_members[0], onUp, cancellationToken);
        await Task.WhenAll(_members.Skip(1).Select(member => StartAsync(member, onUp, cancellationToken)));
    }

    /// <summary>Lets all drain and leave; kills what is left after 5 s, or at once when told to.</summary>
    public async Task StopAsync(CancellationToken atOnce)
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_members.Select(member => member.StoppedAsync(StopGrace, atOnce)));
    }

    public void Dispose() => _stop.Dispose();

    private async Task StartAsync(SupervisedMember member, Action<SupervisedMember> onUp, CancellationToken cancellationToken)
    {
        await member.StartAsync(_stop.Token).WaitAsync(cancellationToken);
        onUp(member);
    }

    private IEnumerable<string> SeedsFor(string name) =>
        _members.Where(member => member.Name != name && member.LastReady is not null).Select(member => member.LastReady!.Gossip).Take(8);
}
