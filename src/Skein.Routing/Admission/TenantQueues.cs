namespace Skein.Routing.Admission;

/// <summary>
/// Waiters by tenant: the one that was served the fewest tokens is next (virtual token counter: Sheng et al., Fairness in Serving Large Language Models, OSDI
/// 2024). Within a tenant the order is that of arrival. Displaced sessions go first, because their clients have half an answer.
/// </summary>
internal sealed class TenantQueues(TenantCounters counters) : IWaiters
{
    private readonly Dictionary<string, ArrivalQueue> _byTenant = new(StringComparer.Ordinal);
    private readonly ArrivalQueue _displaced = new();

    public int Count { get; private set; }

    public IEnumerable<Waiter> All => _displaced.All.Concat(_byTenant.Values.SelectMany(queue => queue.All));

    public void Add(Waiter waiter)
    {
        Count++;
        if (waiter.Request.Displaced)
        {
            _displaced.Add(waiter);
            return;
        }
        var tenant = waiter.Request.Traits.Tenant;
        if (!_byTenant.TryGetValue(tenant, out var queue))
        {
            _byTenant[tenant] = queue = new ArrivalQueue();
            counters.Wait(tenant);
        }
        queue.Add(waiter);
    }

    public bool Remove(Waiter waiter)
    {
        var tenant = waiter.Request.Traits.Tenant;
        if (waiter.Request.Displaced)
        {
            if (!_displaced.Remove(waiter))
                return false;
        }
        else
        {
            if (!_byTenant.TryGetValue(tenant, out var queue) || !queue.Remove(waiter))
                return false;
            if (queue.Count == 0)
            {
                _byTenant.Remove(tenant);
                counters.WaitNoMore(tenant);
            }
        }
        Count--;
        return true;
    }

    public Waiter? First(Func<Waiter, bool> condition)
    {
        if (_displaced.First(condition) is { } displaced)
            return displaced;
        foreach (var tenant in counters.Waiting)
        {
            if (_byTenant.TryGetValue(tenant, out var queue) && queue.First(condition) is { } waiter)
                return waiter;
        }
        return null;
    }
}

/// <summary>
/// Tokens that each tenant was served for one model. The prompt and the usual length of an answer are charged when a slot is granted, and corrected when it is
/// given back. A tenant that comes back is lifted to the lowest of those that wait: nobody saves up. Used under the admission lock.
/// </summary>
internal sealed class TenantCounters
{
    private const int MostTenants = 10_000;
    private const double Smoothing = 0.05;
    private static readonly IComparer<Account> ByServed = Comparer<Account>.Create(
        (left, right) => left.Served != right.Served ? left.Served.CompareTo(right.Served) : string.CompareOrdinal(left.Name, right.Name));

    private readonly Dictionary<string, Account> _tenants = new(StringComparer.Ordinal);
    private readonly SortedSet<Account> _waiting = new(ByServed);
    private double _usualAnswer = 256;
    private double _lastServed;

    /// <summary>How many tenants have waiters.</summary>
    public int WaitingTenants => _waiting.Count;

    /// <summary>Names of the tenants with waiters, the one that was served least first.</summary>
    public IEnumerable<string> Waiting => _waiting.Select(tenant => tenant.Name);

    /// <summary>Tokens that were charged to a tenant, for tests and metrics.</summary>
    public double ServedOf(string name) => _tenants.TryGetValue(name, out var tenant) ? tenant.Served : 0;

    /// <summary>A class has waiters of this tenant.</summary>
    public void Wait(string name)
    {
        var tenant = Get(name);
        if (tenant.Queues++ > 0)
            return;
        tenant.Served = Math.Max(tenant.Served, _waiting.Min?.Served ?? _lastServed);
        _waiting.Add(tenant);
    }

    public void WaitNoMore(string name)
    {
        if (_tenants.TryGetValue(name, out var tenant) && --tenant.Queues == 0)
            _waiting.Remove(tenant);
    }

    /// <returns>What to give back to <see cref="Correct"/>.</returns>
    public double Charge(string name, long promptTokens)
    {
        var charged = promptTokens + _usualAnswer;
        var tenant = Get(name);
        _lastServed = Math.Max(_lastServed, tenant.Served);
        Add(tenant, charged);
        return charged;
    }

    /// <summary>The slot was given back.</summary>
    /// <param name="isWhole">The answer was finished, so that its length says how long answers are.</param>
    public void Correct(string name, double charged, long promptTokens, long answerTokens, bool isWhole)
    {
        Add(Get(name), promptTokens + answerTokens - charged);
        if (isWhole)
            _usualAnswer += Smoothing * (answerTokens - _usualAnswer);
    }

    private Account Get(string name)
    {
        if (_tenants.TryGetValue(name, out var tenant))
            return tenant;
        ForgetIdle();
        return _tenants[name] = new Account(name);
    }

    private void Add(Account tenant, double tokens)
    {
        var isWaiting = tenant.Queues > 0 && _waiting.Remove(tenant);
        tenant.Served = Math.Max(0, tenant.Served + tokens);
        if (isWaiting)
            _waiting.Add(tenant);
    }

    private void ForgetIdle()
    {
        if (_tenants.Count < MostTenants)
            return;
        // Names come from outside. Those who were served least lose the least by it.
        foreach (var idle in _tenants.Values.Where(tenant => tenant.Queues == 0).OrderBy(tenant => tenant.Served).Take(MostTenants / 10).ToList())
            _tenants.Remove(idle.Name);
    }

    private sealed class Account(string name)
    {
        public string Name => name;

        public double Served { get; set; }

        /// <summary>Classes in which it has waiters.</summary>
        public int Queues { get; set; }
    }
}
