using System.Diagnostics.CodeAnalysis;

namespace Skein.Serving;

/// <summary>
/// Detects a frozen engine for all streams at once. A server that is frozen, or behind a broken network, accepts connections and stays silent. While streams
/// run and none of them receives a frame, the monitor checks the engine and does not wait for earlier checks. Any frame and any answer, an error included,
/// proves that the engine runs. After the timeout without either, the streams end, and new work is refused until the engine answers. A period in which this
/// process hardly ran proves nothing. Thread-safe.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and streams may still read its token.")]
internal sealed partial class EngineLivenessMonitor(
    IInferenceEngine engine, string shownEngine, SlotTable slots, TimeSpan timeout, TimeProvider time, ILogger<EngineLivenessMonitor> logger,
    ProcessLateness lateness)
{
    private readonly EngineLivenessTracker _tracker = new();
    private readonly Lock _gate = new();
    private volatile CancellationTokenSource _alive = new();
    private volatile bool _isClosed;
    private int _isFaultLogged;
    private TimeSpan _late;

    /// <summary>Whether the engine counts as frozen: its streams were ended, and it has not answered since.</summary>
    public bool IsLost => _alive.IsCancellationRequested;

    /// <summary>Cancelled when the engine counts as frozen. A stream reads it once, at its start.</summary>
    public CancellationToken Lost => _alive.Token;

    /// <summary>Why streams end, or are refused.</summary>
    /// <param name="wasBegun">Whether the engine had started the stream.</param>
    public FaultException LostException(bool wasBegun) => new(
        wasBegun ? Fault.ConnectionLost : Fault.Unreachable,
        _isClosed
            ? $"the {engine.Kind} engine was stopped"
            : FormattableString.Invariant(
                $"the {engine.Kind} engine is frozen: it sent no frame and answered no check for {timeout.TotalSeconds:0.###} s"));

    /// <summary>Records that a stream received a frame. Costs one shared read.</summary>
    public void Spoke() => _tracker.Spoke();

    /// <summary>Ends all streams, and refuses new ones from now on.</summary>
    public void Close()
    {
        lock (_gate)
            _isClosed = true;

        _alive.Cancel();
    }

    public Task RunAsync(CancellationToken stoppingToken) =>
        PeriodicLoop.RunAsync(timeout / EngineLivenessTracker.MostUnanswered, time, () => TickAsync(stoppingToken), stoppingToken);

    /// <summary>Called <see cref="EngineLivenessTracker.MostUnanswered"/> times per timeout, by one task.</summary>
    internal async Task TickAsync(CancellationToken stoppingToken)
    {
        // After a stall of this process, frames and answers may wait unread.
        var late = lateness.Total;
        if (late - _late > timeout / EngineLivenessTracker.MostUnanswered / 2)
            _tracker.Spoke();
        _late = late;

        var step = IsLost ? LivenessAction.Ask : _tracker.Tick(slots.Running > 0);
        if (step == LivenessAction.Ask)
        {
            // Not awaited: the next check must not wait for this one. Each check ends at its deadline and throws nothing.
            _ = AskAsync(stoppingToken);
        }
        else if (step == LivenessAction.GiveUp)
        {
            Log.Lost(logger, shownEngine, timeout.TotalSeconds);
            await _alive.CancelAsync();
        }
    }

    private async Task AskAsync(CancellationToken stoppingToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stoppingToken);
        try
        {
            await engine.CheckAsync(either.Token);
            Volatile.Write(ref _isFaultLogged, 0);
        }
        catch (Exception exception) when (IsNoAnswer(exception, either.Token))
        {
            return;
        }
        catch (FaultException)
        {
            // An error is an answer too: a frozen engine sends none.
            Volatile.Write(ref _isFaultLogged, 0);
        }
        catch (Exception exception)
        {
            if (Interlocked.Exchange(ref _isFaultLogged, 1) == 0)
                Log.CheckFailed(logger, shownEngine, exception);

            // A timeout inside the engine's own client does not count as an answer. A bug in the check must not end streams.
            if (exception is OperationCanceledException or TimeoutException)
                return;
        }

        Answered();
    }

    private static bool IsNoAnswer(Exception exception, CancellationToken cancelled) =>
        cancelled.IsCancellationRequested || exception is FaultException { Fault: Fault.Unreachable or Fault.ConnectionLost or Fault.EngineTimedOut };

    private void Answered()
    {
        _tracker.Spoke();
        lock (_gate)
        {
            if (!IsLost || _isClosed)
                return;

            // The cancelled source stays referenced by the streams that it ends. It has neither timer nor handle, so nothing leaks.
            _alive = new CancellationTokenSource();
        }

        Log.Back(logger, shownEngine);
    }

    private static partial class Log
    {
        [LoggerMessage(2008, LogLevel.Error, "The liveness check of the {Engine} threw an unexpected exception; logged once until a check succeeds")]
        public static partial void CheckFailed(ILogger logger, string engine, Exception exception);

        [LoggerMessage(
            2006,
            LogLevel.Warning,
            "The {Engine} is frozen: no frame and no answer for {Seconds} s. Its streams end; new work is refused until it answers")]
        public static partial void Lost(ILogger logger, string engine, double seconds);

        [LoggerMessage(2007, LogLevel.Information, "The {Engine} answers again")]
        public static partial void Back(ILogger logger, string engine);
    }
}
