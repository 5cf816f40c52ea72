using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Tells when a stream is to be moved because its replica is far slower than another one. A gap of one step means nothing: the replica and
/// this very attempt must both be slow, at two looks in a row, and enough tokens must be left for the move to pay. Not thread-safe.
/// </summary>
internal sealed class StragglerWatch(SessionServices services, GenerateRequest request)
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    /// <summary>A move costs a prefill and a slot's worth of disturbance: it must win at least this much.</summary>
    private static readonly TimeSpan LeastGain = TimeSpan.FromSeconds(2);

    /// <summary>Assumed to be left where the request sets no bound.</summary>
    private const int TokensLeftUnknown = 256;

    private long _lookedAt = services.Time.GetTimestamp();
    private int _slowLooks;
    private bool _moved;

    public void Begin()
    {
        _lookedAt = services.Time.GetTimestamp();
        _slowLooks = 0;
    }

    /// <summary>Looks at most twice a second; otherwise costs one timestamp.</summary>
    public bool IsWorthMoving(Attempt current, int nextIndex)
    {
        if (_moved || services.Options.StragglerFactor <= 0 || services.Time.GetElapsedTime(_lookedAt) < LookEvery)
            return false;
        _lookedAt = services.Time.GetTimestamp();
        _slowLooks = Gain(current, nextIndex) >= LeastGain ? _slowLooks + 1 : 0;
        if (_slowLooks < 2 || !services.Retries.TrySpend())
            return false;
        // Once per stream: it must not wander.
        _moved = true;
        return true;
    }

    private TimeSpan Gain(Attempt current, int nextIndex)
    {
        var own = current.Lease.Replica;
        var best = TimeSpan.MaxValue;
        foreach (var other in services.Fleet.Current.Serving(request.Model))
        {
            if (other != own && other.Reachable && !other.Draining && other.Pace.TokenGap > TimeSpan.Zero && other.Pace.TokenGap < best)
                best = other.Pace.TokenGap;
        }
        if (best == TimeSpan.MaxValue)
            return TimeSpan.Zero;
        var tooSlow = best * services.Options.StragglerFactor;
        if (current.Watch.TokenGap < tooSlow || own.Pace.TokenGap < tooSlow)
            return TimeSpan.Zero;
        var left = (request.HasMaxTokens ? (int)request.MaxTokens : nextIndex + TokensLeftUnknown) - nextIndex;
        return (current.Watch.TokenGap - best) * left;
    }
}
