using Skein.Routing.Balancing;

namespace Skein.Routing.Admission;

/// <summary>The balancing policy of each model, which may change while requests wait: it only affects later picks. Used under the admission lock.</summary>
internal sealed class PolicySelection(IBalancingPolicy policy, IRandomSource random)
{
    private const int MostModels = 4096;

    private readonly Dictionary<string, IBalancingPolicy> _ofModels = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ReplicaPicker> _pickers = new(StringComparer.Ordinal);
    private IBalancingPolicy _default = policy;

    public IBalancingPolicy PolicyOf(string model) => _ofModels.GetValueOrDefault(model, _default);

    /// <param name="model">A model that the fleet knows; null: all that have no policy of their own.</param>
    public void Set(IBalancingPolicy policy, string? model)
    {
        if (model is null)
        {
            _default = policy;
            foreach (var other in _pickers.Keys.Where(other => !_ofModels.ContainsKey(other)).ToList())
                _pickers.Remove(other);
            return;
        }
        if (_ofModels.Count >= MostModels && !_ofModels.ContainsKey(model))
            throw new ArgumentException($"{_ofModels.Count} models have a policy of their own; allowed: {MostModels}");
        _ofModels[model] = policy;
        _pickers.Remove(model);
    }

    /// <summary>Replaces all policies.</summary>
    public void Reset(IBalancingPolicy policy, IEnumerable<KeyValuePair<string, IBalancingPolicy>> ofModels)
    {
        _default = policy;
        _ofModels.Clear();
        foreach ((var model, var own) in ofModels)
            _ofModels[model] = own;
        _pickers.Clear();
    }

    /// <param name="model">A model that the fleet serves.</param>
    public ReplicaPicker PickerOf(string model)
    {
        if (_pickers.TryGetValue(model, out var picker))
            return picker;
        // What policies have learned of the others is lost, which costs no more than some misses.
        if (_pickers.Count >= MostModels)
            _pickers.Clear();
        return _pickers[model] = new ReplicaPicker(PolicyOf(model).ForModel(), random);
    }
}
