namespace Skein.Routing.Admission;

/// <summary>The queues of all models, and whose turn it is. Used under the admission lock.</summary>
internal sealed class WaitingLines
{
    private readonly SortedDictionary<string, ModelQueue> _queues = new(StringComparer.Ordinal);

    /// <summary>The first of each class that could be served, of the last <see cref="Next"/>.</summary>
    private readonly List<(Waiter Waiter, ClassShares Shares)> _firsts = [];

    public int Count { get; private set; }

    /// <summary>Waiters that a replica may serve after a pause, without any event.</summary>
    public int Pausing { get; private set; }

    /// <summary>Models with waiters.</summary>
    public IEnumerable<string> Models => _queues.Keys;

    public IEnumerable<ModelQueue> Queues => _queues.Values;

    /// <summary>All waiters, in no particular order.</summary>
    public IEnumerable<Waiter> All => _queues.Values.SelectMany(queue => queue.All);

    public ModelQueue? Of(string model) => _queues.GetValueOrDefault(model);

    /// <param name="tenants">Those of its model; null without tenant fairness.</param>
    public void Add(Waiter waiter, TenantCounters? tenants)
    {
        if (!_queues.TryGetValue(waiter.Request.Model, out var queue))
            _queues[waiter.Request.Model] = queue = new ModelQueue(tenants);
        queue.Add(waiter);
        Count++;
        Pausing += waiter.IsPausing ? 1 : 0;
    }

    /// <returns>False when it was served or removed before.</returns>
    public bool Remove(Waiter waiter)
    {
        if (!_queues.TryGetValue(waiter.Request.Model, out var queue) || !queue.Remove(waiter))
            return false;
        if (queue.Count == 0)
            _queues.Remove(waiter.Request.Model);
        Count--;
        Pausing -= waiter.IsPausing ? 1 : 0;
        return true;
    }

    /// <summary>The waiter whose turn it is: of its class first, then in the order within the class. Of different models the oldest of a class.</summary>
    /// <param name="usableOf">
    /// Tells for a model the shares of a slot that a waiter could use now, null if there is none; null for a model of which nobody can be served.
    /// </param>
    public Waiter? Next(Func<string, Func<Waiter, ClassShares?>?> usableOf)
    {
        _firsts.Clear();
        Waiter? next = null;
        var untilNext = double.PositiveInfinity;
        foreach ((var model, var queue) in _queues)
        {
            if (usableOf(model) is not { } usable)
                continue;
            foreach ((var priority, var waiters) in queue.Classes)
            {
                ClassShares? shares = null;
                if (waiters.First(waiter => (shares = usable(waiter)) is not null) is not { } first)
                    continue;
                _firsts.Add((first, shares!));
                var until = shares!.UntilTurnOf(priority);
                if (next is null || until < untilNext || (until == untilNext && Waiter.ByArrival.Compare(first, next) < 0))
                    (next, untilNext) = (first, until);
            }
        }
        return next;
    }

    /// <summary>What <see cref="Next"/> returned gets a slot: it leaves, and its class has had its turn.</summary>
    /// <param name="shares">Those of the slot.</param>
    public void Serve(Waiter waiter, ClassShares shares)
    {
        var mostUrgent = waiter.Request.Arrival.Priority;
        foreach (var first in _firsts)
        {
            if (first.Shares == shares)
                mostUrgent = Math.Min(mostUrgent, first.Waiter.Request.Arrival.Priority);
        }
        shares.Serve(waiter.Request.Arrival.Priority, mostUrgent);
        Remove(waiter);
    }

    /// <param name="knownModels">Models of which waiters are told apart: other names come from clients.</param>
    public QueueVitals ReadVitals(IReadOnlyCollection<string> knownModels)
    {
        var byPriority = new Dictionary<int, int>();
        var models = new List<QueueLoad>(_queues.Count);
        var unknown = default(QueueLoad) with { Model = "" };
        foreach ((var model, var queue) in _queues)
        {
            var load = new QueueLoad(model, queue.Count, queue.PromptTokens, queue.Tenants);
            if (knownModels.Contains(model))
            {
                models.Add(load);
            }
            else
            {
                unknown = new QueueLoad(
                    "", unknown.Waiters + load.Waiters, unknown.PromptTokens + load.PromptTokens, unknown.Tenants + load.Tenants);
            }
            foreach ((var priority, var waiters) in queue.Classes)
                byPriority[priority] = byPriority.GetValueOrDefault(priority) + waiters.Count;
        }
        if (unknown.Waiters > 0)
            models.Add(unknown);
        return new QueueVitals(models, byPriority);
    }
}
