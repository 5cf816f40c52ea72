using System.Collections.Frozen;

namespace Skein.Routing.Balancing;

/// <summary>The policies by name. Immutable.</summary>
public sealed class BalancingPolicies
{
    /// <summary>Name of the policy that is used when none is named.</summary>
    public const string Default = "weighted-least-connections";

    private readonly FrozenDictionary<string, IBalancingPolicy> _byName;

    /// <summary>Indexes the registered policies, those of other assemblies included.</summary>
    public BalancingPolicies(IEnumerable<IBalancingPolicy> policies) =>
        _byName = policies.ToFrozenDictionary(policy => policy.Name, StringComparer.Ordinal);

    /// <summary>The policies that come with Skein.</summary>
    public static IReadOnlyList<IBalancingPolicy> BuiltIn { get; } = [new WeightedLeastConnections(), new PowerOfTwoChoices()];

    /// <summary>Finds a policy.</summary>
    /// <exception cref="ArgumentException">The name is unknown; the message says which are known.</exception>
    public IBalancingPolicy Get(string name) =>
        _byName.TryGetValue(name, out var policy)
            ? policy
            : throw new ArgumentException(
                $"balancing policy '{name}' is unknown; known are {string.Join(", ", _byName.Keys.Order(StringComparer.Ordinal))}");
}
