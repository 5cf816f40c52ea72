using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>
/// Asks each new life of a replica for its description, and again when the group says that its models changed: gossip has digests only. By
/// the way the connection stands, and the way to it is compiled, before the first request. Asks until it gets an answer. Thread-safe.
/// </summary>
internal sealed class DescribePoller : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly FleetTracker _fleet;
    private readonly IReplicaDescriber _describer;
    private readonly IDescriptionBook _book;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Dictionary<Replica, ulong> _greeted = [];

    public DescribePoller(FleetTracker fleet, IReplicaDescriber describer, IDescriptionBook book, TimeProvider time)
    {
        (_fleet, _describer, _book, _time) = (fleet, describer, book, time);
        _fleet.Changed += GreetNewcomers;
    }

    public void Dispose()
    {
        _fleet.Changed -= GreetNewcomers;
        _stop.Cancel();
        _stop.Dispose();
    }

    private void GreetNewcomers()
    {
        var newcomers = new List<(Replica Replica, ReplicaDescription Known)>();
        lock (_gate)
        {
            var greeted = new Dictionary<Replica, ulong>(_greeted.Count);
            foreach (var replica in _fleet.Current.Replicas)
            {
                var known = replica.Description;
                if (!_greeted.TryGetValue(replica, out var digest) || digest != known.ModelsDigest)
                    newcomers.Add((replica, known));
                greeted[replica] = known.ModelsDigest;
            }
            _greeted = greeted;
        }
        foreach ((var replica, var known) in newcomers)
            _ = GreetAsync(replica, known, _stop.Token);
    }

    private async Task GreetAsync(Replica replica, ReplicaDescription known, CancellationToken stop)
    {
        try
        {
            for (var pause = FirstPause; StillCounts(replica, known); pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
            {
                if (await AskAsync(replica, stop) is { } answer)
                {
                    _book.Learn(known, answer);
                    return;
                }
                await Task.Delay(pause, _time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Disposed.
        }
    }

    private bool StillCounts(Replica replica, ReplicaDescription known) =>
        _fleet.Current.Replicas.Contains(replica) && replica.Description.ModelsDigest == known.ModelsDigest;

    private async Task<DescribeResponse?> AskAsync(Replica replica, CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        try
        {
            return await _describer.DescribeAsync(replica, either.Token);
        }
        catch (FaultException)
        {
            return null;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return null;
        }
    }
}
