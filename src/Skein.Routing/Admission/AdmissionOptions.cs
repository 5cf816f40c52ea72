using System.Collections.Frozen;

namespace Skein.Routing.Admission;

/// <summary>Bounds of the queue. Immutable.</summary>
public sealed record AdmissionOptions
{
    private static readonly TimeSpan DefaultNoReplicaTimeout = TimeSpan.FromSeconds(30);

    private readonly TimeSpan? _noReplicaTimeout;

    /// <summary>Most waiters per model; a new request past it is refused. Default 512, range 0 (never wait) to 1,000,000.</summary>
    public int QueueLength { get; init; } = 512;

    /// <summary>Most prompt tokens of all waiters of a model, as estimated from bytes. Default 16,777,216, range 1 to 10^12.</summary>
    public long QueuePromptTokens { get; init; } = 16 << 20;

    /// <summary>Within a priority class, serve the tenant that was served the fewest tokens. Default false: in order of arrival.</summary>
    public bool TenantFairness { get; init; }

    /// <summary>
    /// Weigh replicas that serve the same models by their measured speed instead of their configured weights. Default false.
    /// </summary>
    public bool MeasuredWeights { get; init; }

    /// <summary>Longest wait for a slot. Default 60 s, range above 0 to 1 h.</summary>
    public TimeSpan QueueTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Longest wait while no live replica can serve the waiter. Default 30 s, or <see cref="QueueTimeout"/> if that is shorter; range 0 to it.
    /// </summary>
    public TimeSpan NoReplicaTimeout
    {
        get => _noReplicaTimeout ?? (QueueTimeout < DefaultNoReplicaTimeout ? QueueTimeout : DefaultNoReplicaTimeout);
        init => _noReplicaTimeout = value;
    }

    /// <summary>Name of the balancing policy. Default <see cref="Balancing.BalancingPolicies.Default"/>.</summary>
    public string Policy { get; init; } = Balancing.BalancingPolicies.Default;

    /// <summary>Names of the balancing policies of models that do not use <see cref="Policy"/>. Default: none.</summary>
    public IReadOnlyDictionary<string, string> ModelPolicies { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <exception cref="ArgumentException">A value is out of its range; the message names the option, its value and what is allowed.</exception>
    public void Validate()
    {
        OptionGuard.Range(QueueLength, 0, 1_000_000, "queue length");
        OptionGuard.Range(QueuePromptTokens, 1, 1_000_000_000_000, "queue prompt tokens");
        OptionGuard.Require(QueueTimeout > TimeSpan.Zero && QueueTimeout <= TimeSpan.FromHours(1), "queue timeout", QueueTimeout, "above 0 s, to 1 h");
        OptionGuard.Require(
            NoReplicaTimeout >= TimeSpan.Zero && NoReplicaTimeout <= QueueTimeout, "no-replica timeout", NoReplicaTimeout, "0 s to the queue timeout");
    }
}
