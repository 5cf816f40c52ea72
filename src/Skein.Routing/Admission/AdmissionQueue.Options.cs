namespace Skein.Routing.Admission;

/// <content>Bounds and policies, which may change while requests wait and run.</content>
public sealed partial class AdmissionQueue
{
    /// <summary>Name of the balancing policy of a model.</summary>
    public string PolicyOf(string model)
    {
        lock (_gate)
            return _core.Policies.PolicyOf(model).Name;
    }

    /// <summary>Changes the balancing policy of later picks. Requests that wait or run are not affected.</summary>
    /// <param name="policy">Its name.</param>
    /// <param name="model">A model that the fleet knows; null: all models without a policy of their own.</param>
    /// <exception cref="ArgumentException">The policy is unknown.</exception>
    public void SetPolicy(string policy, string? model = null)
    {
        var next = _policies.Get(policy);
        lock (_gate)
            _core.Policies.Set(next, model);
    }

    /// <summary>
    /// Uses other bounds and policies from now on. Requests that wait or run are not affected; policies that were set at run time stay unless the options name
    /// others than before. <see cref="AdmissionOptions.TenantFairness"/> stays as it is.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its range, or a policy is unknown. Nothing has changed.</exception>
    public void Use(AdmissionOptions options)
    {
        options.Validate();
        var policy = _policies.Get(options.Policy);
        var ofModels = options.ModelPolicies.ToDictionary(named => named.Key, named => _policies.Get(named.Value), StringComparer.Ordinal);
        lock (_gate)
        {
            var before = _core.Options;
            _core.Options = options with { TenantFairness = before.TenantFairness };
            if (before.Policy != options.Policy || !before.ModelPolicies.ToHashSet().SetEquals(options.ModelPolicies))
                _core.Policies.Reset(policy, ofModels);
        }
    }

    /// <summary>Whether picks for the model use the hashes of prompts' prefixes.</summary>
    internal bool UsesPrefixes(string model)
    {
        lock (_gate)
            return _core.Policies.PolicyOf(model).UsesPrefixes;
    }
}
