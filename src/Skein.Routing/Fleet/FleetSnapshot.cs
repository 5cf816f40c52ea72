using System.Collections.Frozen;

namespace Skein.Routing.Fleet;

/// <summary>The fleet at one moment, indexed for picking. Immutable; the replicas in it carry their live counters.</summary>
public sealed class FleetSnapshot
{
    /// <summary>Most reasons in one message.</summary>
    private const int MostTroubles = 4;

    private readonly FrozenDictionary<string, Replica[]> _byModel;
    private readonly FrozenSet<string> _knownModels;
    private readonly IReadOnlyList<FleetTrouble> _troubles;

    internal FleetSnapshot(
        IReadOnlyList<Replica> replicas, IReadOnlyCollection<string> knownModels, bool complete, IReadOnlyList<FleetTrouble>? troubles = null)
    {
        _troubles = troubles ?? [];
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

    /// <summary>False for an alias: no replica knows a model by this name.</summary>
    public bool IsOwnName(string model)
    {
        foreach (var replica in Serving(model))
        {
            if (replica.Description.OwnNameOf(model) == model)
                return true;
        }
        return false;
    }

    /// <summary>Why nothing serves a model.</summary>
    /// <returns>
    /// The reasons, empty if none is known, and whether waiting cannot help: everything that may serve the model needs an operator first.
    /// The fault is that of all of them, if they have the same.
    /// </returns>
    public (string Message, bool IsFinal, Fault Fault) TroubleOf(string model)
    {
        List<FleetTrouble> concerned = [.. _troubles.Where(trouble => trouble.Concerns(model))];
        var messages = concerned.Select(trouble => trouble.Message).Where(message => message.Length > 0).Distinct(StringComparer.Ordinal);
        var faults = concerned.Select(trouble => trouble.Fault).Distinct().ToList();
        return (
            string.Join("; ", messages.Take(MostTroubles)),
            concerned.Count > 0 && concerned.TrueForAll(trouble => trouble.IsFinal),
            faults is [var fault] ? fault : Fault.NoReplica);
    }

    /// <summary>True when the model may be served later: it was offered before, or the view is not complete yet.</summary>
    public bool MayServe(string model) => !Complete || _knownModels.Contains(model);
}
