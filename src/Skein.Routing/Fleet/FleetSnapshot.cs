using System.Collections.Frozen;

namespace Skein.Routing.Fleet;

/// <summary>The fleet at one moment, indexed for picking. Immutable; the replicas in it carry their live counters.</summary>
public sealed class FleetSnapshot
{
    private readonly FrozenDictionary<string, Replica[]> _byModel;
    private readonly FrozenSet<string> _knownModels;

    internal FleetSnapshot(IReadOnlyList<Replica> replicas, IReadOnlyCollection<string> knownModels, bool complete)
    {
        Replicas = replicas;
        Complete = complete;
        _byModel = replicas
            .SelectMany(replica => replica.Description.Models.Distinct(StringComparer.Ordinal), (replica, model) => (model, replica))
            .GroupBy(pair => pair.model, pair => pair.replica, StringComparer.Ordinal)
            .ToFrozenDictionary(group => group.Key, group => group.ToArray(), StringComparer.Ordinal);
        _knownModels = knownModels.Concat(_byModel.Keys).ToFrozenSet(StringComparer.Ordinal);
    }

    public static FleetSnapshot Empty { get; } = new([], [], complete: false);

    public IReadOnlyList<Replica> Replicas { get; }

    /// <summary>False while the view is still being gathered.</summary>
    public bool Complete { get; }

    public IReadOnlyList<string> ServedModels => _byModel.Keys;

    /// <summary>Models that any member, including dead ones, ever offered.</summary>
    public IReadOnlyCollection<string> KnownModels => _knownModels;

    public ReadOnlySpan<Replica> Serving(string model) => _byModel.TryGetValue(model, out var replicas) ? replicas : [];

    /// <summary>True when the model may be served later: it was offered before, or the view is not complete yet.</summary>
    public bool MayServe(string model) => !Complete || _knownModels.Contains(model);
}
