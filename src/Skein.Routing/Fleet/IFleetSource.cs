namespace Skein.Routing.Fleet;

/// <summary>Provides the replicas: adapted from members of the group, from a static list, or from DNS. Thread-safe.</summary>
public interface IFleetSource
{
    FleetView Current { get; }

    /// <summary>Raised after <see cref="Current"/> was replaced, on any thread; handlers return at once.</summary>
    event Action? Changed;
}

/// <summary>The replicas that can be asked, and the models that are known. Immutable.</summary>
/// <param name="Replicas">Live replicas, including draining and suspected ones; one generation per name.</param>
/// <param name="KnownModels">Models that any member, including dead and restarting ones, ever offered.</param>
/// <param name="Complete">False while the view is still being gathered: no model can be called unknown then.</param>
public sealed record FleetView(IReadOnlyList<ReplicaDescription> Replicas, IReadOnlyCollection<string> KnownModels, bool Complete)
{
    public static FleetView Empty { get; } = new([], [], Complete: false);

    /// <summary>Why parts of the fleet do not serve now, where that is known. Default: nothing is known.</summary>
    public IReadOnlyList<FleetTrouble> Troubles { get; init; } = [];

    internal bool IsSameAs(FleetView other) =>
        Complete == other.Complete && Replicas.Count == other.Replicas.Count
        && Replicas.Zip(other.Replicas).All(pair => pair.First.IsSameAs(pair.Second))
        && Troubles.Count == other.Troubles.Count && Troubles.Zip(other.Troubles).All(pair => pair.First.IsSameAs(pair.Second))
        && (ReferenceEquals(KnownModels, other.KnownModels) || KnownModels.SequenceEqual(other.KnownModels, StringComparer.Ordinal));
}
