namespace Skein.Serving;

/// <summary>
/// Callers that cannot receive offers and poll for a free slot, each with the time at which it began to wait. A caller is forgotten between one and two times
/// <see cref="Memory"/> after its last refusal: two alternating tables make a search for expired entries unnecessary. Not thread-safe.
/// </summary>
internal sealed class PollingCallers
{
    /// <summary>Twice the longest pause between two polls of a gateway with a waiter.</summary>
    public static readonly TimeSpan Memory = TimeSpan.FromSeconds(10);

    /// <summary>Most callers in one table. Names come from outside and must not fill the memory.</summary>
    private const int Most = 1024;

    private Dictionary<string, TimeSpan> _lately = new(StringComparer.Ordinal);
    private Dictionary<string, TimeSpan> _before = new(StringComparer.Ordinal);
    private TimeSpan _turnsAt;

    public bool Any(TimeSpan now)
    {
        Turn(now);
        return _lately.Count + _before.Count > 0;
    }

    /// <summary>When the caller began to wait; null if it is unknown.</summary>
    public TimeSpan? Since(string caller, TimeSpan now)
    {
        Turn(now);
        return _lately.TryGetValue(caller, out var since) || _before.TryGetValue(caller, out since) ? since : null;
    }

    /// <summary>Records a refusal of a caller that has waited at least since then.</summary>
    public void Refused(string caller, TimeSpan since, TimeSpan now)
    {
        var known = Since(caller, now) ?? since;
        if (_lately.Count < Most || _lately.ContainsKey(caller))
            _lately[caller] = known < since ? known : since;
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
            return;

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
