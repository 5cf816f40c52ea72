using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Skein.Engines;
using Skein.Protocol;

namespace Skein.Serving;

/// <summary>
/// Watches the engine for all streams at once: a server that is frozen, or behind a dead network, accepts connections and says nothing for ever. While streams
/// run and none of them says anything it is asked, each time on a connection of its own; any answer within
/// <see cref="ReplicaOptions.EnginePatience"/>, an error too, is a sign of life, and so is any token. Without one for <see cref="ReplicaOptions.EnginePatience"/> the streams end, and no work is taken until it answers again. Thread-safe.
/// </summary>
internal sealed partial class EngineLivenessMonitor(
    IInferenceEngine engine, SlotTable slots, ReplicaOptions options, TimeProvider time, ILogger<EngineLivenessMonitor> logger) : BackgroundService
{
    private readonly EngineLivenessTracker _vigil = new();
    private readonly Lock _gate = new();
    private volatile CancellationTokenSource _life = new();
    private int _isFaultTold;

    /// <summary>Whether the engine was given up, and has not answered since.</summary>
    public bool IsLost => _life.IsCancellationRequested;

    /// <summary>Cancelled when the engine is given up. To be read when a stream begins.</summary>
    public CancellationToken Lost => _life.Token;

    /// <summary>Why streams end, or are not begun.</summary>
    /// <param name="wasBegun">Whether the engine had begun with it.</param>
    public FaultException LostException(bool wasBegun) => new(
        wasBegun ? Fault.ConnectionLost : Fault.Unreachable,
        FormattableString.Invariant($"the {engine.Kind} engine is frozen: no stream says anything, and it leaves questions without an answer for {options.EnginePatience.TotalSeconds:0.###} s"));

    /// <summary>A stream of the engine said something. Costs a read.</summary>
    public void Spoke() => _vigil.Spoke();

    public override void Dispose()
    {
        _life.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.EnginePatience / EngineLivenessTracker.MostUnanswered, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TickAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Told here: a host whose start failed takes it for a crash.
        }
    }

    /// <summary>Called <see cref="EngineLivenessTracker.MostUnanswered"/> times in the patience, by one task.</summary>
    internal async Task TickAsync(CancellationToken stoppingToken)
    {
        var step = IsLost ? LivenessAction.Ask : _vigil.Tick(slots.Running > 0);
        if (step == LivenessAction.Ask)
        {
            // Not waited for: the next question must not wait for this one's answer. Each ends at its deadline.
            _ = AskAsync(stoppingToken);
        }
        else if (step == LivenessAction.GiveUp)
        {
            Log.Lost(logger, engine.Kind, options.EnginePatience.TotalSeconds);
            await _life.CancelAsync();
        }
    }

    private async Task AskAsync(CancellationToken stoppingToken)
    {
        using var patience = new CancellationTokenSource(options.EnginePatience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
        try
        {
            await engine.CheckAsync(either.Token);
            Volatile.Write(ref _isFaultTold, 0);
        }
        catch (Exception exception) when (either.IsCancellationRequested || exception is FaultException { Fault: Fault.Unreachable or Fault.ConnectionLost or Fault.EngineTimedOut })
        {
            return;
        }
        catch (FaultException)
        {
            // An answer, if not the one that was hoped for: whoever refuses is not frozen.
            Volatile.Write(ref _isFaultTold, 0);
        }
        catch (Exception exception)
        {
            if (Interlocked.Exchange(ref _isFaultTold, 1) == 0)
            {
                Log.CheckFailed(logger, engine.Kind, exception);
            }

            // What the engine's own client gave up waiting for was no answer; streams must not end for any other fault of the code that asks.
            if (exception is OperationCanceledException or TimeoutException)
            {
                return;
            }
        }

        Answered();
    }

    private void Answered()
    {
        _vigil.Spoke();
        lock (_gate)
        {
            if (!IsLost)
            {
                return;
            }

            // The old one stays for the streams that it ends; it has neither timer nor handle.
            _life = new CancellationTokenSource();
        }

        Log.Back(logger, engine.Kind);
    }

    private static partial class Log
    {
        [LoggerMessage(2008, LogLevel.Error, "The {Engine} engine's check threw what no engine may; told once, until it is answered or refused as it should be")]
        public static partial void CheckFailed(ILogger logger, string engine, Exception exception);

        [LoggerMessage(2006, LogLevel.Warning, "The {Engine} engine is frozen: neither a token nor an answer for {Seconds} s. Its streams end, and no work is taken until it answers")]
        public static partial void Lost(ILogger logger, string engine, double seconds);

        [LoggerMessage(2007, LogLevel.Information, "The {Engine} engine answers again")]
        public static partial void Back(ILogger logger, string engine);
    }
}
