namespace Skein.Routing.Fleet;

/// <summary>Tells which replicas there are: adapted from members, from a static list, or from DNS. Thread-safe.</summary>
public interface IFleetSource
{
    /// <summary>The newest view.</summary>
    FleetView Current { get; }

    /// <summary>Raised after <see cref="Current"/> was replaced, on any thread; handlers return at once.</summary>
    event Action? Changed;
}

/// <summary>The replicas that can be asked, and what else is known of models. Immutable.</summary>
/// <param name="Replicas">Live replicas, draining and suspected ones included; one life per name.</param>
/// <param name="KnownModels">Models that any member, dead or restarting ones included, ever offered.</param>
/// <param name="Complete">False while the view is still being gathered: nothing can be called unknown then.</param>
public sealed record FleetView(IReadOnlyList<ReplicaDescription> Replicas, IReadOnlyCollection<string> KnownModels, bool Complete)
{
    /// <summary>Nothing is known yet.</summary>
    public static FleetView Empty { get; } = new([], [], Complete: false);
}
