namespace Skein.Routing.Fleet;

/// <summary>
/// A replica's time per token as a function of the streams that run there: a regression line, old measurements count less. Batches make each stream slower, so
/// replicas can be compared only at the same number of streams. Used under the admission lock.
/// </summary>
internal sealed class SpeedEstimate
{
    /// <summary>About how many measurements count.</summary>
    private const int Kept = 50;

    /// <summary>How many are needed before they count.</summary>
    private const int Enough = 16;

    /// <summary>Variance of the streams below which a slope would be noise.</summary>
    private const double LeastVariance = 0.5;

    private double _streams;
    private double _gap;
    private double _streamsSquared;
    private double _product;
    private int _count;

    public bool IsKnown => _count >= Enough;

    /// <summary>Mean of the streams that ran during the measurements.</summary>
    public double Streams => _streams;

    /// <param name="streams">That run there now.</param>
    /// <param name="gap">Time per token of each of them.</param>
    public void Add(double streams, TimeSpan gap)
    {
        _count = Math.Min(_count + 1, Kept);
        var share = 1.0 / _count;
        _streams += share * (streams - _streams);
        _gap += share * (gap.TotalSeconds - _gap);
        _streamsSquared += share * ((streams * streams) - _streamsSquared);
        _product += share * ((streams * gap.TotalSeconds) - _product);
    }

    /// <summary>Expected seconds per token of each stream. Above 0 once it is known.</summary>
    public double SecondsPerTokenAt(double streams)
    {
        var variance = _streamsSquared - (_streams * _streams);
        // More streams make none faster, and no stream at all costs no negative time.
        var slope = variance < LeastVariance ? 0 : Math.Clamp((_product - (_streams * _gap)) / variance, 0, _gap / Math.Max(1, _streams));
        return Math.Max(_gap / 10, _gap + (slope * (streams - _streams)));
    }
}
