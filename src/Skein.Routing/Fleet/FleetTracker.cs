using Skein.Routing.Health;

namespace Skein.Routing.Fleet;

/// <summary>Turns the views of a source into snapshots. A <see cref="Replica"/> object is kept as long as its generation is in view. Thread-safe.</summary>
public sealed class FleetTracker : IDisposable
{
    private readonly IFleetSource _source;
    private readonly Lock _gate = new();
    private Dictionary<ReplicaId, Replica> _replicas = [];
    private FleetView? _view;
    private volatile FleetSnapshot _current = FleetSnapshot.Empty;

    /// <summary>Starts to follow a source.</summary>
    /// <param name="health">How replicas that fail or are new are treated; null: the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public FleetTracker(IFleetSource source, HealthOptions? health = null)
    {
        _source = source;
        Health = new LiveHealth(health ?? new HealthOptions());
        Health.Current.Validate();
        _source.Changed += Refresh;
        Refresh();
    }

    /// <summary>Raised after <see cref="Current"/> was replaced because something differs, or a replica's reachability changed.</summary>
    public event Action? Changed;

    /// <summary>Raised once when the connection to a replica broke, so that membership can probe it.</summary>
    public event Action<Replica>? ConnectionBroken;

    internal LiveHealth Health { get; }

    public FleetSnapshot Current => _current;

    /// <summary>
    /// Treats replicas that fail or are new by other options from now on. A replica that is ejected stays so for the time that it had, unless too many are.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its range. Nothing has changed.</exception>
    public void Use(HealthOptions health)
    {
        health.Validate();
        Health.Current = health;
        // Admission readmits replicas of which more are ejected than may be now.
        Changed?.Invoke();
    }

    /// <summary>Takes a replica out of service at once, until <see cref="MarkReachable"/>.</summary>
    public void MarkUnreachable(Replica replica)
    {
        lock (_gate)
        {
            if (!replica.Reachable)
                return;
            replica.Reachable = false;
        }
        ConnectionBroken?.Invoke(replica);
        Changed?.Invoke();
    }

    /// <summary>Returns a replica to service that answered again.</summary>
    public void MarkReachable(Replica replica)
    {
        replica.Reachable = true;
        Changed?.Invoke();
    }

    public void Dispose() => _source.Changed -= Refresh;

    private void Refresh()
    {
        lock (_gate)
        {
            var view = _source.Current;
            if (_view is not null && view.IsSameAs(_view))
                return;
            _view = view;
            var next = new Dictionary<ReplicaId, Replica>(view.Replicas.Count);
            foreach (var description in view.Replicas)
            {
                if (_replicas.TryGetValue(description.Id, out var replica))
                    replica.Description = description;
                else
                    replica = new Replica(description, Health);
                next[description.Id] = replica;
            }
            _replicas = next;
            _current = new FleetSnapshot([.. next.Values], view.KnownModels, view.Complete, view.Troubles);
        }
        Changed?.Invoke();
    }
}
