using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Links;

/// <summary>
/// Asks each new generation of a replica for its description, until it answers, and again when the group reports that its models changed: gossip carries
/// digests only. This also opens the connection, and compiles the code behind it, before the first request. Thread-safe.
/// </summary>
internal sealed class DescribePoller : BackgroundTasks
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly FleetTracker _fleet;
    private readonly IReplicaDescriber _describer;
    private readonly IDescriptionBook _book;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private Dictionary<Replica, ulong> _asked = [];

    public DescribePoller(FleetTracker fleet, IReplicaDescriber describer, IDescriptionBook book, TimeProvider time)
    {
        (_fleet, _describer, _book, _time) = (fleet, describer, book, time);
        _fleet.Changed += PollNew;
    }

    public override void Dispose()
    {
        // May be called twice: the poller is registered as itself and as a hosted service. The source has neither timer nor handle.
        _fleet.Changed -= PollNew;
        _stop.Cancel();
        base.Dispose();
    }

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
            Observe(PollAsync(replica, known, _stop.Token));
    }

    private async Task PollAsync(Replica replica, ReplicaDescription known, CancellationToken stop)
    {
        try
        {
            for (var pause = FirstPause; IsCurrent(replica, known); pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
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

    private bool IsCurrent(Replica replica, ReplicaDescription known) =>
        _fleet.Current.Replicas.Contains(replica) && replica.Description.ModelsDigest == known.ModelsDigest;

    private async Task<DescribeResponse?> AskAsync(Replica replica, CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
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
