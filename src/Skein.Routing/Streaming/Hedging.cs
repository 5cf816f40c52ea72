using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Decides when a late first token is requested from a second replica, within a budget (Dean and Barroso, The Tail at Scale, 2013). Thread-safe.
/// </summary>
internal sealed class Hedging(StreamingOptions options, FleetTracker fleet, TimeProvider time)
{
    private const double Burst = 5;

    private readonly Budget _budget = new(options.HedgeShare, perSecond: 0, Burst, time);

    public void RequestCame() => _budget.RequestCame();

    public bool TrySpend() => _budget.TrySpend();

    /// <summary>How long the first token may take; null if the request is not hedged, or too few times were measured.</summary>
    public TimeSpan? DelayOf(GenerateRequest request)
    {
        if (!request.Hedge && !options.HedgeAll && !options.HedgedModels.Contains(request.Model))
            return null;
        // The median of the replicas: a slow replica must not set its own bound.
        var known = new List<TimeSpan>();
        foreach (var replica in fleet.Current.Serving(request.Model))
        {
            if (replica.Pace.FirstTokenP95 is { } p95)
                known.Add(p95);
        }
        if (known.Count == 0)
            return null;
        known.Sort();
        return known[(known.Count - 1) / 2];
    }
}
