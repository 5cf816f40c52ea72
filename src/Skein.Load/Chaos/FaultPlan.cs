namespace Skein.Load.Chaos;

/// <summary>Chooses the next fault: the kinds in rounds of random order, so that each one occurs, on a random healthy replica. Not thread-safe.</summary>
internal sealed class FaultPlan(IReadOnlyList<FaultKind> kinds, int leftAlone, int seed)
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(200);

    private readonly Random _random = new(seed);
    private readonly Queue<FaultKind> _round = new();

    /// <summary>Longest duration of a fault. Default: 2.5 s.</summary>
    public TimeSpan Longest { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>The next fault; null while too few replicas are healthy.</summary>
    public InjectedFault? Next(IReadOnlyList<string> healthy)
    {
        if (healthy.Count <= leftAlone)
            return null;
        if (_round.Count == 0)
        {
            FaultKind[] round = [.. kinds];
            _random.Shuffle(round);
            foreach (var kind in round)
                _round.Enqueue(kind);
        }

        var duration = Shortest + ((Longest - Shortest) * _random.NextDouble());
        return new InjectedFault(_round.Dequeue(), healthy[_random.Next(healthy.Count)], duration);
    }
}
