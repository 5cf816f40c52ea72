using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>What every session of a gateway shares.</summary>
internal sealed record SessionServices(
    FleetTracker Fleet,
    AdmissionQueue Admission,
    IReplicaLink Link,
    StreamingOptions Options,
    RoutingStatistics Statistics,
    TimeProvider Time)
{
    private const double RetriesPerSecond = 10;

    /// <summary>When a second replica is asked for the first token.</summary>
    public Hedging Hedging { get; } = new(Options, Fleet, Time);

    /// <summary>Pays for going on after engine faults, and for leaving stragglers.</summary>
    public Budget Retries { get; } = new(Options.RetryShare, RetriesPerSecond, Options.RetryBurst, Time);

    /// <summary>Streams of drained replicas on their way to others.</summary>
    public FifoSemaphore HandOvers { get; } = new(Options.HandOversAtOnce);

    public void RequestCame()
    {
        Hedging.RequestCame();
        Retries.RequestCame();
    }
}
