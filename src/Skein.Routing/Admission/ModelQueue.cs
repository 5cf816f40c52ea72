namespace Skein.Routing.Admission;

/// <summary>
/// The waiters of one model, by priority class: <see cref="ClassShares"/> decides between classes. Within a class the order is that of arrival, or, with tenant
/// fairness, that of <see cref="TenantQueues"/>. Adding and removing take logarithmic time. Used under the admission lock.
/// </summary>
internal sealed class ModelQueue(TenantCounters? tenants)
{
    private readonly SortedDictionary<int, IWaiters> _classes = [];

    public int Count { get; private set; }

    /// <summary>Estimate of the prompt tokens of all waiters.</summary>
    public long PromptTokens { get; private set; }

    /// <summary>How many tenants have waiters; 0 without tenant fairness.</summary>
    public int Tenants => tenants?.WaitingTenants ?? 0;

    /// <summary>The classes that have waiters, the most urgent one first.</summary>
    public SortedDictionary<int, IWaiters> Classes => _classes;

    /// <summary>All waiters, in no particular order.</summary>
    public IEnumerable<Waiter> All => _classes.Values.SelectMany(waiters => waiters.All);

    public void Add(Waiter waiter)
    {
        var priority = waiter.Request.Arrival.Priority;
        if (!_classes.TryGetValue(priority, out var waiters))
            _classes[priority] = waiters = tenants is null ? new ArrivalQueue() : new TenantQueues(tenants);
        waiters.Add(waiter);
        Count++;
        PromptTokens += waiter.Request.Traits.PromptTokens;
    }

    public bool Remove(Waiter waiter)
    {
        var priority = waiter.Request.Arrival.Priority;
        if (!_classes.TryGetValue(priority, out var waiters) || !waiters.Remove(waiter))
            return false;
        if (waiters.Count == 0)
            _classes.Remove(priority);
        Count--;
        PromptTokens -= waiter.Request.Traits.PromptTokens;
        return true;
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
/// <param name="order">Null: <see cref="Waiter.ByArrival"/>.</param>
internal sealed class ArrivalQueue(IComparer<Waiter>? order = null) : IWaiters
{
    private readonly SortedSet<Waiter> _waiters = new(order ?? Waiter.ByArrival);

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
