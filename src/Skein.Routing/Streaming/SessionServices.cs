using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Services that all sessions of a gateway share.</summary>
internal sealed record SessionServices(
    FleetTracker Fleet,
    AdmissionQueue Admission,
    IReplicaLink Link,
    StreamingOptions Options,
    RoutingStatistics Statistics,
    TimeProvider Time)
{
    private const double RetriesPerSecond = 10;

    /// <summary>Time in which this process did not run; null: not measured.</summary>
    public ProcessLateness? Lateness { get; init; }

    public Hedging Hedging { get; } = new(Options, Fleet, Time);

    /// <summary>Pays for retries after engine faults, and for moves away from stragglers.</summary>
    public Budget Retries { get; } = new(Options.RetryShare, RetriesPerSecond, Options.RetryBurst, Time);

    /// <summary>Bounds the streams of drained replicas that prefill elsewhere at a time.</summary>
    public FifoSemaphore HandOvers { get; } = new(Options.HandOversAtOnce);

    public void RequestCame()
    {
        Hedging.Budget.RequestCame();
        Retries.RequestCame();
    }
}
