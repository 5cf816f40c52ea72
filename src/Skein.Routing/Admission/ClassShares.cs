using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>
/// How the priority classes share the slots of replicas that serve the same models: a class gets a quarter of the slots of the next more urgent one, and at
/// least one in 64, so that none starves (start-time fair queueing: Goyal, Vin, Cheng, 1996). Used under the admission lock.
/// </summary>
internal sealed class ClassShares
{
    private const double ClassRatio = 4;
    private const double MostTurns = 64;

    /// <summary>Turns of all classes that were served, also of those that nobody waits in now.</summary>
    private readonly Dictionary<int, double> _turns = [];

    private double _time;

    /// <summary>
    /// Virtual time until the next turn of a class: the lowest is served first. A class that comes back neither catches up on the time when nobody of it
    /// waited, nor is it served anew before its next turn.
    /// </summary>
    public double UntilTurnOf(int priority) => Math.Max(0, _turns.GetValueOrDefault(priority) - _time);

    /// <summary>A waiter of the class gets a slot.</summary>
    /// <param name="mostUrgent">The most urgent class that could have got it.</param>
    public void Serve(int priority, int mostUrgent)
    {
        _time += UntilTurnOf(priority);
        _turns[priority] = _time + Math.Min(Math.Pow(ClassRatio, priority - mostUrgent), MostTurns);
    }
}

/// <summary>The <see cref="ClassShares"/> of each replica. Replicas that serve the same models have the same ones.</summary>
internal sealed class SharesByReplica
{
    private Dictionary<IReadOnlyList<string>, ClassShares> _byModels = new(SameModels.Instance);
    private Dictionary<Replica, ClassShares> _byReplica = [];

    /// <summary>Null for a replica that was not in the last <see cref="Update"/>.</summary>
    public ClassShares? Of(Replica replica) => _byReplica.GetValueOrDefault(replica);

    /// <summary>Forgets the turns at replicas that serve models as no replica does now.</summary>
    public void Update(IReadOnlyList<Replica> replicas)
    {
        var byModels = new Dictionary<IReadOnlyList<string>, ClassShares>(SameModels.Instance);
        var byReplica = new Dictionary<Replica, ClassShares>(replicas.Count);
        foreach (var replica in replicas)
        {
            var models = replica.Description.Models;
            if (!byModels.TryGetValue(models, out var shares))
                byModels[models] = shares = _byModels.GetValueOrDefault(models) ?? new ClassShares();
            byReplica[replica] = shares;
        }
        (_byModels, _byReplica) = (byModels, byReplica);
    }
}
