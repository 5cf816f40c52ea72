using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>
/// Asks each new life of a replica for its description, so that the connection stands, and the way to it is compiled, before the first
/// request. What the answer is does not matter: a replica that gives none is found out by the first request. Thread-safe.
/// </summary>
internal sealed class ReplicaGreeter : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly FleetTracker _fleet;
    private readonly IReplicaLink _link;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private HashSet<ReplicaId> _greeted = [];

    public ReplicaGreeter(FleetTracker fleet, IReplicaLink link, TimeProvider time)
    {
        _fleet = fleet;
        _link = link;
        _time = time;
        _fleet.Changed += GreetNewcomers;
    }

    public void Dispose() => _fleet.Changed -= GreetNewcomers;

    private void GreetNewcomers()
    {
        IReadOnlyList<Replica> newcomers;
        lock (_gate)
        {
            IReadOnlyList<Replica> fleet = [.. _fleet.Current.Replicas];
            newcomers = [.. fleet.Where(replica => !_greeted.Contains(replica.Id))];
            _greeted = [.. fleet.Select(replica => replica.Id)];
        }
        foreach (Replica newcomer in newcomers)
            _ = GreetAsync(newcomer);
    }

    private async Task GreetAsync(Replica newcomer)
    {
        using var patience = new CancellationTokenSource(Patience, _time);
        try
        {
            await _link.ProbeAsync(newcomer, patience.Token);
        }
        catch (Exception error) when (error is LinkException or OperationCanceledException)
        {
            // Not our business: see above.
        }
    }
}
