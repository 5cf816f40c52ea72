namespace Skein.Simulation;

/// <summary>Virtual time and its pending events. Equal times keep the order of scheduling.</summary>
internal sealed class EventQueue<T>
{
    private readonly PriorityQueue<T, (TimeSpan At, ulong Order)> _queue = new();
    private ulong _order;

    /// <summary>The time of the last taken event.</summary>
    public TimeSpan Now { get; private set; }

    public int Count => _queue.Count;

    public void Schedule(TimeSpan at, T what) => _queue.Enqueue(what, (at < Now ? Now : at, _order++));

    /// <summary>Takes the next event up to <paramref name="limit"/>; without one, advances the time to the limit and returns false.</summary>
    public bool TryTake(TimeSpan limit, out T what)
    {
        if (!_queue.TryPeek(out what!, out var priority) || priority.At > limit)
        {
            Now = limit;
            return false;
        }
        Now = priority.At;
        _queue.Dequeue();
        return true;
    }
}
