using Microsoft.Extensions.Logging;
using Skein.Protocol;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Asks a replica whose connection broke until it answers or leaves the fleet, and puts it back. One loop per broken replica. Thread-safe.
/// </summary>
public sealed partial class ReachabilityMonitor : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(1);

    private readonly FleetTracker _fleet;
    private readonly IReplicaLink _link;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();

    /// <summary>Starts to watch.</summary>
    public ReachabilityMonitor(FleetTracker fleet, IReplicaLink link, TimeProvider time, ILogger<ReachabilityMonitor> logger)
    {
        _fleet = fleet;
        _link = link;
        _time = time;
        _logger = logger;
        _fleet.ConnectionBroken += OnConnectionBroken;
    }

    /// <inheritdoc/>
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
        [LoggerMessage(120, LogLevel.Warning, "Connection to {Replica} broke: no requests go there until it answers")]
        public static partial void Lost(ILogger logger, ReplicaId replica);

        [LoggerMessage(121, LogLevel.Information, "{Replica} answers again")]
        public static partial void Back(ILogger logger, ReplicaId replica);
    }
}
