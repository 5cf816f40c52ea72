using System.Collections.Frozen;

namespace Skein.Gateway.Group;

/// <summary>A fleet whose replicas also serve the aliases of their models. Thread-safe.</summary>
internal sealed partial class AliasedFleet : IFleetSource, IDisposable
{
    private const int MostShownModels = 16;

    private readonly IFleetSource _source;
    private readonly ILogger _logger;

    /// <summary>Names of aliases that were reported. Guarded by the lock.</summary>
    private readonly HashSet<string> _reported = new(StringComparer.Ordinal);
    private IReadOnlyList<ModelAlias> _aliases;
    private readonly Lock _gate = new();
    private FleetView? _seen;
    private FleetView _current = FleetView.Empty;

    /// <exception cref="ArgumentException">The aliases do not fit together.</exception>
    public AliasedFleet(IFleetSource source, IReadOnlyList<ModelAlias> aliases, ILogger<AliasedFleet> logger)
    {
        ModelAlias.Check(aliases);
        (_source, _aliases, _logger) = (source, aliases, logger);
        _source.Changed += OnChanged;
    }

    public event Action? Changed;

    public FleetView Current
    {
        get
        {
            lock (_gate)
            {
                var view = _source.Current;
                if (!ReferenceEquals(view, _seen))
                {
                    (_seen, _current) = (view, _aliases.Count == 0 ? view : Named(view));
                    ReportDangling(view);
                }
                return _current;
            }
        }
    }

    /// <summary>Serves other aliases from now on. Streams that run are not affected.</summary>
    /// <exception cref="ArgumentException">The aliases do not fit together. Nothing has changed.</exception>
    public void Use(IReadOnlyList<ModelAlias> aliases)
    {
        ModelAlias.Check(aliases);
        lock (_gate)
            (_aliases, _seen) = (aliases, null);
        Changed?.Invoke();
    }

    public void Dispose() => _source.Changed -= OnChanged;

    private void OnChanged() => Changed?.Invoke();

    /// <summary>Which models servers have is known only while they run: an alias of none is reported once, and again after it was served.</summary>
    private void ReportDangling(FleetView view)
    {
        if (!view.Complete || view.KnownModels.Count == 0)
            return;
        foreach (var alias in _aliases)
        {
            if (alias.Models.Prepend(alias.Name).Any(model => view.KnownModels.Contains(model, StringComparer.Ordinal)))
                _reported.Remove(alias.Name);
            else if (_reported.Add(alias.Name))
                Log.AliasOfNoModel(_logger, alias.Name, string.Join(',', alias.Models), string.Join(", ", view.KnownModels.Take(MostShownModels)));
        }
    }

    private FleetView Named(FleetView view) =>
        new([.. view.Replicas.Select(Named)], [.. view.KnownModels.Union(AliasesOf(view.KnownModels).Keys, StringComparer.Ordinal)], view.Complete)
        {
            Troubles =
            [
                .. view.Troubles.Select(trouble => trouble.Models is not { } models ? trouble
                    : trouble with { Models = [.. models.Union(AliasesOf(models).Keys, StringComparer.Ordinal)] }),
            ],
        };

    private ReplicaDescription Named(ReplicaDescription replica)
    {
        var ownNames = AliasesOf(replica.Models);
        return ownNames.Count == 0 ? replica : replica with
        {
            Models = [.. replica.Models.Union(ownNames.Keys, StringComparer.Ordinal)],
            OwnNames = ownNames.ToFrozenDictionary(StringComparer.Ordinal),
            Fingerprints = WithAliases(replica.Fingerprints, ownNames),
            ModelDescriptions = WithAliases(replica.ModelDescriptions, ownNames),
        };
    }

    /// <summary>The aliases of some models, each with the model's own name. A model of the alias's own name is served under it.</summary>
    private Dictionary<string, string> AliasesOf(IReadOnlyCollection<string> models)
    {
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var alias in _aliases)
        {
            if (!models.Contains(alias.Name, StringComparer.Ordinal)
                && alias.Models.FirstOrDefault(model => models.Contains(model, StringComparer.Ordinal)) is { } own)
                found[alias.Name] = own;
        }
        return found;
    }

    private static FrozenDictionary<string, T> WithAliases<T>(IReadOnlyDictionary<string, T> byModel, Dictionary<string, string> ownNames)
    {
        var all = new Dictionary<string, T>(byModel, StringComparer.Ordinal);
        foreach (var (alias, own) in ownNames)
        {
            if (byModel.TryGetValue(own, out var value))
                all[alias] = value;
        }
        return all.ToFrozenDictionary(StringComparer.Ordinal);
    }

    private static partial class Log
    {
        [LoggerMessage(3130, LogLevel.Warning,
            "Alias {Alias} is for {Models}, which no replica serves; served: {Served}. Requests for it get 404 until one does")]
        public static partial void AliasOfNoModel(ILogger logger, string alias, string models, string served);
    }
}
