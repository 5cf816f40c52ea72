using Microsoft.Extensions.Logging.Abstractions;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;

namespace Skein.Simulation.Failover;

/// <summary>The routing of one gateway, unchanged, in front of simulated replicas, in virtual time.</summary>
internal sealed class FailoverWorld : IFleetSource, IDisposable
{
    public const string Model = "simulated";

    private readonly ReachabilityMonitor _monitor;
    private readonly FleetTracker _fleet;

    public FailoverWorld(FailoverSettings settings)
    {
        // The two that are never harmed have slots for all streams.
        Replicas = [.. Enumerable.Range(1, settings.Replicas).Select(i => new SimulatedReplica($"replica-{i}", Math.Max(2, settings.Streams), Time))];
        var link = new SimulatedLink(Replicas.ToDictionary(replica => replica.Name, StringComparer.Ordinal), Time);
        var random = new SeededRandomSource(settings.Seed);
        Publish();
        _fleet = new FleetTracker(this);
        Admission = new AdmissionQueue(new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, Time, random);
        _monitor = new ReachabilityMonitor(_fleet, link, Time, NullLogger<ReachabilityMonitor>.Instance);
        Sessions = new GenerationSessions(
            _fleet, Admission, link, Options, Statistics, Time, random, NullLogger<GenerationSessions>.Instance);
    }

    public event Action? Changed;

    public VirtualTime Time { get; } = new();

    public IReadOnlyList<SimulatedReplica> Replicas { get; }

    public AdmissionQueue Admission { get; }

    public static StreamingOptions Options { get; } = new() { RetryBurst = 1_000_000, MaxAttempts = 100 };

    public RoutingStatistics Statistics { get; } = new();

    public IGenerationSessions Sessions { get; }

    public FleetView Current { get; private set; } = FleetView.Empty;

    public void Publish()
    {
        Current = new FleetView([.. Replicas.Where(replica => replica.IsUp).Select(replica => replica.Description)], [Model], Complete: true);
        Changed?.Invoke();
    }

    public void Dispose()
    {
        _monitor.Dispose();
        Admission.Dispose();
        _fleet.Dispose();
    }
}
