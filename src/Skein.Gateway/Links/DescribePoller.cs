namespace Skein.Gateway.Links;

/// <summary>
/// Asks each new generation of a replica for its description, until it answers, and again when the group reports that its models changed: gossip carries
/// digests only. This also opens the connection, and compiles the code behind it, before the first request. Thread-safe.
/// </summary>
internal sealed class DescribePoller : IDisposable
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly FleetTracker _fleet;
    private readonly Func<Replica, CancellationToken, Task<DescribeResponse>> _describe;
    private readonly Action<ReplicaDescription, DescribeResponse> _learn;
    private readonly BackgroundTasks _tasks;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private Dictionary<Replica, ulong> _asked = [];

    /// <param name="learn">Receives each answer, which is unchecked input, and what was known of the replica when it was asked.</param>
    public DescribePoller(
        FleetTracker fleet, Func<Replica, CancellationToken, Task<DescribeResponse>> describe, Action<ReplicaDescription, DescribeResponse> learn,
        BackgroundTasks tasks, TimeProvider time)
    {
        (_fleet, _describe, _learn, _tasks, _time) = (fleet, describe, learn, tasks, time);
        _fleet.Changed += PollNew;
    }

    public void Dispose() => _fleet.Changed -= PollNew;

    private void PollNew()
    {
        var unknown = new List<(Replica Replica, ReplicaDescription Known)>();
        lock (_gate)
        {
            var asked = new Dictionary<Replica, ulong>(_asked.Count);
            foreach (var replica in _fleet.Current.Replicas)
            {
                var known = replica.Description;
                if (!_asked.TryGetValue(replica, out var digest) || digest != known.ModelsDigest)
                    unknown.Add((replica, known));
                asked[replica] = known.ModelsDigest;
            }
            _asked = asked;
        }
        foreach ((var replica, var known) in unknown)
            _tasks.Observe(PollAsync(replica, known, _tasks.Stopping));
    }

    private async Task PollAsync(Replica replica, ReplicaDescription known, CancellationToken stop)
    {
        for (var pause = FirstPause; IsCurrent(replica, known); pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            if (await AskAsync(replica, stop) is { } answer)
            {
                _learn(known, answer);
                return;
            }
            await Task.Delay(pause, _time, stop);
        }
    }

    private bool IsCurrent(Replica replica, ReplicaDescription known) =>
        _fleet.Current.Replicas.Contains(replica) && replica.Description.ModelsDigest == known.ModelsDigest;

    private async Task<DescribeResponse?> AskAsync(Replica replica, CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        try
        {
            return await _describe(replica, either.Token);
        }
        catch (Exception failure) when (failure is FaultException || (failure is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return null;
        }
    }
}
