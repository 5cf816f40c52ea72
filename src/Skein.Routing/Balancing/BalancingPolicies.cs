using System.Collections.Frozen;

namespace Skein.Routing.Balancing;

/// <summary>The policies by name. Immutable.</summary>
public sealed class BalancingPolicies
{
    /// <summary>Name of the policy that is used when none is named.</summary>
    public const string Default = "weighted-least-connections";

    private readonly FrozenDictionary<string, IBalancingPolicy> _byName;

    /// <summary>Indexes the registered policies, including those of other assemblies.</summary>
    /// <exception cref="ArgumentException">Two policies have the same name.</exception>
    public BalancingPolicies(IEnumerable<IBalancingPolicy> policies)
    {
        var byName = policies.ToLookup(policy => policy.Name, StringComparer.Ordinal);
        if (byName.FirstOrDefault(same => same.Count() > 1) is { } twice)
            throw new ArgumentException($"balancing policy '{twice.Key}' is registered {twice.Count()} times; allowed: once");
        _byName = byName.ToFrozenDictionary(policy => policy.Key, policy => policy.First(), StringComparer.Ordinal);
    }

    /// <summary>The policies that come with Skein: a new one is one file and one line here.</summary>
    public static IReadOnlyList<IBalancingPolicy> BuiltIn { get; } =
    [
        new WeightedLeastConnections(),
        new PrefixAffinity(),
        new PowerOfTwoChoices(),
        new LeastLatency(),
        new RoundRobin(),
        new RandomReplica(),
    ];

    /// <exception cref="ArgumentException">The name is unknown; the message lists the known names.</exception>
    public IBalancingPolicy Get(string name) =>
        _byName.TryGetValue(name, out var policy)
            ? policy
            : throw new ArgumentException(
                $"balancing policy '{name}' is unknown; known are {string.Join(", ", _byName.Keys.Order(StringComparer.Ordinal))}");
}
