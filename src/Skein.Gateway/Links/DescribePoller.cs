using Microsoft.Extensions.Logging.Abstractions;

namespace Skein.Gateway.Links;

/// <summary>
/// Asks each new generation of a replica for its description, until it answers, and again when the group reports that its models changed: gossip carries
/// digests only. This also opens the connection, and compiles the code behind it, before the first request. Thread-safe.
/// </summary>
internal sealed partial class DescribePoller : IDisposable
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LoggedPause = TimeSpan.FromMilliseconds(800);

    private readonly FleetTracker _fleet;
    private readonly Func<Replica, CancellationToken, Task<DescribeResponse>> _describe;
    private readonly Action<ReplicaDescription, DescribeResponse> _learn;
    private readonly Action<ReplicaDescription>? _refused;
    private readonly BackgroundTasks _tasks;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private Dictionary<Replica, ulong> _asked = [];

    /// <param name="learn">Receives each answer, which is unchecked input, and what was known of the replica when it was asked.</param>
    /// <param name="refused">Told when a replica refuses the link key of this gateway.</param>
    public DescribePoller(
        FleetTracker fleet, Func<Replica, CancellationToken, Task<DescribeResponse>> describe, Action<ReplicaDescription, DescribeResponse> learn,
        BackgroundTasks tasks, TimeProvider time, ILogger<DescribePoller>? logger = null, Action<ReplicaDescription>? refused = null)
    {
        (_fleet, _describe, _learn, _tasks, _time) = (fleet, describe, learn, tasks, time);
        _refused = refused;
        _logger = logger ?? NullLogger<DescribePoller>.Instance;
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
        var isLogged = false;
        for (var pause = FirstPause; IsCurrent(replica, known); pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
        {
            var (answer, problem, isRefused) = await AskAsync(replica, stop);
            if (answer is not null)
            {
                _learn(known, answer);
                return;
            }
            if (isRefused)
                _refused?.Invoke(known);
            // One that starts or dies is silent for a moment. One that is still silent later needs its operator, such as one with another link key.
            if (pause >= LoggedPause && !isLogged)
                Log.NotDescribed(_logger, replica.Id.Name, problem);
            isLogged |= pause >= LoggedPause;
            await Task.Delay(pause, _time, stop);
        }
    }

    private bool IsCurrent(Replica replica, ReplicaDescription known) =>
        _fleet.Current.Replicas.Contains(replica) && replica.Description.ModelsDigest == known.ModelsDigest;

    private async Task<(DescribeResponse? Answer, string Problem, bool IsRefused)> AskAsync(Replica replica, CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        try
        {
            return (await _describe(replica, either.Token), "", false);
        }
        catch (Exception failure) when (failure is FaultException || (failure is OperationCanceledException && !stop.IsCancellationRequested))
        {
            return (
                null, failure is FaultException ? failure.Message : "it did not answer in time",
                failure.InnerException is RpcException { StatusCode: StatusCode.Unauthenticated });
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3120, LogLevel.Warning, "Replica {Name} does not say what it serves, and cannot be used: {Problem}")]
        public static partial void NotDescribed(ILogger logger, string name, string problem);
    }
}
