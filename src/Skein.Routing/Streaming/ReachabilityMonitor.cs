using Microsoft.Extensions.Logging;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>Probes a replica whose connection broke until it answers or leaves the fleet. One loop per broken replica. Thread-safe.</summary>
public sealed partial class ReachabilityMonitor : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(1);

    private readonly FleetTracker _fleet;
    private readonly IReplicaLink _link;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ReachabilityMonitor(FleetTracker fleet, IReplicaLink link, TimeProvider time, ILogger<ReachabilityMonitor> logger)
    {
        _fleet = fleet;
        _link = link;
        _time = time;
        _logger = logger;
        _fleet.ConnectionBroken += OnConnectionBroken;
    }

    /// <summary>Runs until cancelled. Rethrows the exception of a probe loop, without which a replica would stay out of service.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => _failed.Task.WaitAsync(cancellationToken);

    public void Dispose()
    {
        _fleet.ConnectionBroken -= OnConnectionBroken;
        _stop.Cancel();
        _stop.Dispose();
    }

    private void OnConnectionBroken(Replica replica) => _ = ProbeUntilBackAsync(replica, _stop.Token);

    private async Task ProbeUntilBackAsync(Replica replica, CancellationToken cancellationToken)
    {
        Log.Lost(_logger, replica.Id);
        try
        {
            for (var pause = FirstPause; ; pause = pause * 2 < LongestPause ? pause * 2 : LongestPause)
            {
                await Task.Delay(pause, _time, cancellationToken);
                if (!_fleet.Current.Replicas.Contains(replica))
                    return;
                if (await AnswersAsync(replica, cancellationToken))
                {
                    _fleet.MarkReachable(replica);
                    Log.Back(_logger, replica.Id);
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Disposed.
        }
        catch (Exception bug)
        {
            _failed.TrySetException(bug);
        }
    }

    private async Task<bool> AnswersAsync(Replica replica, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await _link.ProbeAsync(replica, either.Token);
            return true;
        }
        catch (FaultException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3210, LogLevel.Warning, "The connection to {Replica} broke; no requests are sent there until it answers")]
        public static partial void Lost(ILogger logger, ReplicaId replica);

        [LoggerMessage(3211, LogLevel.Information, "{Replica} answers again")]
        public static partial void Back(ILogger logger, ReplicaId replica);
    }
}
