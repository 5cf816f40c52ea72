using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Decides when a late first token is requested from a second replica, within a budget (Dean and Barroso, The Tail at Scale, 2013). Thread-safe.
/// </summary>
internal sealed class Hedging(StreamingOptions options, FleetTracker fleet, TimeProvider time)
{
    private const double Burst = 5;

    public Budget Budget { get; } = new(options.HedgeShare, perSecond: 0, Burst, time);

    /// <summary>How long the first token may take; null if the request is not hedged, or too few times were measured.</summary>
    public TimeSpan? DelayOf(GenerateRequest request)
    {
        if (!request.Hedge && !options.HedgeAll && !options.HedgedModels.Contains(request.Model))
            return null;
        // The median of the replicas: a slow replica must not set its own bound.
        Replica[] serving = [.. fleet.Current.Serving(request.Model)];
        TimeSpan[] known = [.. serving.Select(replica => replica.Pace.FirstTokenP95).OfType<TimeSpan>().Order()];
        return known.Length == 0 ? null : known[(known.Length - 1) / 2];
    }
}
