using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Skein.Routing.Fleet;

namespace Skein.Routing.Streaming;

/// <summary>
/// Probes a replica whose connection broke until it answers or leaves the fleet. One loop per broken replica. Breaks that follow a return within seconds are
/// logged only when they last. Thread-safe.
/// </summary>
public sealed partial class ReachabilityMonitor : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Time after a return in which a new break is no change of state.</summary>
    private static readonly TimeSpan FlapTime = TimeSpan.FromSeconds(10);

    /// <summary>Breaks that are longer are logged in any case.</summary>
    private static readonly TimeSpan LongestQuietBreak = TimeSpan.FromSeconds(1);

    private readonly ConditionalWeakTable<Replica, StrongBox<long>> _backAt = [];
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
        var brokeAt = _time.GetTimestamp();
        var isLogged = !IsFlapping(replica);
        if (isLogged)
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
                    _backAt.GetOrCreateValue(replica).Value = _time.GetTimestamp();
                    _fleet.MarkReachable(replica);
                    if (isLogged)
                        Log.Back(_logger, replica.Id);
                    return;
                }
                if (!isLogged && _time.GetElapsedTime(brokeAt) > LongestQuietBreak)
                {
                    isLogged = true;
                    Log.Lost(_logger, replica.Id);
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

    private bool IsFlapping(Replica replica) => _backAt.TryGetValue(replica, out var backAt) && _time.GetElapsedTime(backAt.Value) < FlapTime;

    private async Task<bool> AnswersAsync(Replica replica, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await _link.ProbeAsync(replica, either.Token);
            return true;
        }
        catch (Exception failure) when (failure is FaultException || (failure is OperationCanceledException && !cancellationToken.IsCancellationRequested))
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
