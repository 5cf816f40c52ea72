namespace Skein.Routing.Streaming;

/// <summary>Bounds extra work to a share of the requests plus a minimum over time (the retry budget of Twitter's Finagle). Thread-safe.</summary>
/// <param name="share">Units that each request adds.</param>
/// <param name="perSecond">Units that each second adds.</param>
/// <param name="capacity">Most units kept; the budget starts full.</param>
internal sealed class Budget(double share, double perSecond, double capacity, TimeProvider time)
{
    private readonly Lock _gate = new();
    private double _spent;
    private long _filledAt = time.GetTimestamp();

    public void RequestCame()
    {
        lock (_gate)
            PayIn(share);
    }

    /// <returns>False when there is none.</returns>
    public bool TrySpend()
    {
        lock (_gate)
        {
            var now = time.GetTimestamp();
            PayIn(perSecond * time.GetElapsedTime(_filledAt, now).TotalSeconds);
            _filledAt = now;
            if (_spent + 1 > capacity)
                return false;
            _spent++;
            return true;
        }
    }

    private void PayIn(double units) => _spent = Math.Max(0, _spent - units);
}
