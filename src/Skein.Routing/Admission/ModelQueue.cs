namespace Skein.Routing.Admission;

/// <summary>
/// The waiters of one model. Classes of priority share slots by weight: a class gets a quarter of the slots of the next more urgent one, and at least one in
/// 64, so that none starves. Within a class the order is that of arrival, or, with tenant fairness, that of <see cref="TenantQueues"/>. Adding and removing
/// take logarithmic time. Used under the admission lock.
/// </summary>
internal sealed class ModelQueue(TenantCounters? tenants)
{
    private const double ClassRatio = 4;
    private const double MostTurns = 64;

    private readonly SortedDictionary<int, PriorityClass> _classes = [];

    /// <summary>Turns of all classes that were served, also of those that nobody waits in now.</summary>
    private readonly Dictionary<int, double> _turns = [];

    private double _time;

    public int Count { get; private set; }

    /// <summary>Estimate of the prompt tokens of all waiters.</summary>
    public long PromptTokens { get; private set; }

    /// <summary>Waiters by class.</summary>
    public IEnumerable<(int Priority, int Waiters)> ByPriority => _classes.Select(its => (its.Key, its.Value.Waiters.Count));

    /// <summary>All waiters, in no particular order.</summary>
    public IEnumerable<Waiter> All => _classes.Values.SelectMany(its => its.Waiters.All);

    public void Add(Waiter waiter)
    {
        var priority = waiter.Request.Arrival.Priority;
        if (!_classes.TryGetValue(priority, out var its))
        {
            // A class that comes back must neither catch up on the time when nobody of it waited, nor be served anew before its next turn.
            _classes[priority] = its = new PriorityClass(tenants is null ? new ArrivalQueue() : new TenantQueues(tenants))
            {
                Turn = Math.Max(_time, _turns.GetValueOrDefault(priority)),
            };
        }
        its.Waiters.Add(waiter);
        Count++;
        PromptTokens += waiter.Request.Traits.PromptTokens;
    }

    public bool Remove(Waiter waiter)
    {
        var priority = waiter.Request.Arrival.Priority;
        if (!_classes.TryGetValue(priority, out var its) || !its.Waiters.Remove(waiter))
            return false;
        if (its.Waiters.Count == 0)
            _classes.Remove(priority);
        Count--;
        PromptTokens -= waiter.Request.Traits.PromptTokens;
        return true;
    }

    /// <summary>The first waiter in the order of service that meets a condition; null if none does.</summary>
    public Waiter? First(Func<Waiter, bool> condition)
    {
        if (_classes.Count == 1)
        {
            foreach (var only in _classes.Values)
                return only.Waiters.First(condition);
        }
        // Few classes have waiters at a time.
        foreach (var its in _classes.Values.OrderBy(its => its.Turn))
        {
            if (its.Waiters.First(condition) is { } waiter)
                return waiter;
        }
        return null;
    }

    /// <summary>A waiter gets a slot: it leaves, and its class and tenant have had their turn.</summary>
    public void Serve(Waiter waiter)
    {
        var priority = waiter.Request.Arrival.Priority;
        var its = _classes[priority];
        _time = Math.Max(_time, its.Turn);
        its.Turn = _turns[priority] = _time + Math.Min(Math.Pow(ClassRatio, priority - _classes.Keys.First()), MostTurns);
        Remove(waiter);
    }

    private sealed class PriorityClass(IWaiters waiters)
    {
        public IWaiters Waiters => waiters;

        /// <summary>Virtual time of its next turn: the lowest is served first. Equal ones in the order of priority.</summary>
        public double Turn { get; set; }
    }
}

/// <summary>Waiters of one class.</summary>
internal interface IWaiters
{
    int Count { get; }

    IEnumerable<Waiter> All { get; }

    void Add(Waiter waiter);

    bool Remove(Waiter waiter);

    Waiter? First(Func<Waiter, bool> condition);
}

/// <summary>Waiters in order of arrival.</summary>
internal sealed class ArrivalQueue : IWaiters
{
    private readonly SortedSet<Waiter> _waiters = new(Waiter.ByArrival);

    public int Count => _waiters.Count;

    public IEnumerable<Waiter> All => _waiters;

    public void Add(Waiter waiter)
    {
        if (!_waiters.Add(waiter))
            throw new InvalidOperationException($"two waiters with the same place {waiter.Request.Arrival}");
    }

    public bool Remove(Waiter waiter) => _waiters.Remove(waiter);

    public Waiter? First(Func<Waiter, bool> condition)
    {
        // Nearly always the first: others are checked only when no waiter ahead of them can use a free slot.
        if (_waiters.Min is { } first && condition(first))
            return first;
        return _waiters.Count > 1 ? _waiters.Skip(1).FirstOrDefault(condition) : null;
    }
}
