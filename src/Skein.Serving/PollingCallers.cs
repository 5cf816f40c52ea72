namespace Skein.Serving;

/// <summary>
/// Callers that cannot be told of a free slot and ask again and again, and since when each waits. Nobody says that one is gone, so one that was not refused
/// for <see cref="Memory"/>, at most twice as long, counts as gone. Two generations, so that nothing is ever searched. Not thread-safe.
/// </summary>
internal sealed class PollingCallers
{
    /// <summary>Twice the longest time that a gateway with a waiter goes without asking.</summary>
    public static readonly TimeSpan Memory = TimeSpan.FromSeconds(10);

    /// <summary>Of one generation; others are refused and forgotten: names come from outside and must not fill the memory.</summary>
    private const int Most = 1024;

    private Dictionary<string, TimeSpan> _lately = new(StringComparer.Ordinal);
    private Dictionary<string, TimeSpan> _before = new(StringComparer.Ordinal);
    private TimeSpan _turnsAt;

    /// <summary>Whether any waits.</summary>
    public bool Any(TimeSpan now)
    {
        Turn(now);
        return _lately.Count + _before.Count > 0;
    }

    /// <summary>When it began to wait; null: it does not, as far as known.</summary>
    public TimeSpan? Since(string caller, TimeSpan now)
    {
        Turn(now);
        return _lately.TryGetValue(caller, out var since) || _before.TryGetValue(caller, out since) ? since : null;
    }

    /// <summary>Takes in that it was refused, having waited since then if not longer.</summary>
    public void Refused(string caller, TimeSpan since, TimeSpan now)
    {
        var known = Since(caller, now) ?? since;
        if (_lately.Count < Most || _lately.ContainsKey(caller))
        {
            _lately[caller] = known < since ? known : since;
        }
    }

    public void Forget(string caller)
    {
        _lately.Remove(caller);
        _before.Remove(caller);
    }

    public void Clear()
    {
        _lately.Clear();
        _before.Clear();
    }

    private void Turn(TimeSpan now)
    {
        if (now < _turnsAt)
        {
            return;
        }

        if (now >= _turnsAt + Memory)
        {
            Clear();
            _turnsAt = now + Memory;
            return;
        }

        (_lately, _before) = (_before, _lately);
        _lately.Clear();
        _turnsAt += Memory;
    }
}
