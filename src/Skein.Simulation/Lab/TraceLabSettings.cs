using Skein.Protocol;
using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>Settings of the lab. Immutable. Lists of speeds, slots and weights are repeated over the replicas.</summary>
public sealed record TraceLabSettings
{
    public required IReadOnlyList<TraceRequest> Trace { get; init; }

    /// <summary>Balancing policies to compare, each in a run of its own. At least one.</summary>
    public required IReadOnlyList<string> Policies { get; init; }

    /// <summary>1 to 1,000; default 4.</summary>
    public int Replicas { get; init; } = 4;

    /// <summary>1 to 64; default 1. Each request comes to a random one.</summary>
    public int Gateways { get; init; } = 1;

    /// <summary>Of a replica with speed 1.</summary>
    public EngineModel Model { get; init; } = new();

    public IReadOnlyList<double> Speeds { get; init; } = [1];

    public IReadOnlyList<int> Slots { get; init; } = [32];

    /// <summary>Balancing weights. Default (empty): the speeds.</summary>
    public IReadOnlyList<double> Weights { get; init; } = [];

    /// <summary>Gateways weigh replicas by their measured speed instead. Default false.</summary>
    public bool MeasuredWeights { get; init; }

    /// <summary>
    /// Scales the trace's times so that it demands this share of the tokens per second that the replicas can serve with all slots in use. Default (null): the
    /// trace's own times.
    /// </summary>
    public double? Load { get; init; }

    /// <summary>Blocks that are put before every prompt, the same for all. Default 0.</summary>
    public int SharedBlocks { get; init; }

    public IReadOnlyList<LabFault> Faults { get; init; } = [];

    /// <summary>Most waiters per gateway. Default 512.</summary>
    public int QueueLength { get; init; } = 512;

    /// <summary>Longest wait. Default 60 s.</summary>
    public TimeSpan QueueTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time to the first token that counts as good. Default 2 s.</summary>
    public TimeSpan SloTtft { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Mean time per further token that counts as good. Default 100 ms.</summary>
    public TimeSpan SloItl { get; init; } = TimeSpan.FromMilliseconds(100);

    public ulong Seed { get; init; } = 1;

    /// <exception cref="ArgumentException">A value is out of its range; the message names it and says what is allowed.</exception>
    public void Validate()
    {
        OptionGuard.Range(Replicas, 1, 1000, "replicas");
        OptionGuard.Range(Gateways, 1, 64, "gateways");
        OptionGuard.Range(SharedBlocks, 0, 1000, "shared blocks");
        OptionGuard.Require(Policies.Count > 0, "policies", Policies.Count, "at least one");
        foreach (var fault in Faults)
            OptionGuard.Range(fault.Replica, 1, Replicas, "replica of a fault");
    }

    internal EngineModel ModelOf(int replica) => Model with { Speed = Speeds[replica % Speeds.Count], Slots = Slots[replica % Slots.Count] };

    internal double WeightOf(int replica) => Weights.Count > 0 ? Weights[replica % Weights.Count] : Speeds[replica % Speeds.Count];
}
