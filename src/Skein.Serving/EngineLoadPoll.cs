namespace Skein.Serving;

/// <summary>Polls the engine's load once a second, so that load reports do not wait for the engine.</summary>
internal sealed partial class EngineLoadPoll(IInferenceEngine engine, string shownEngine, SlotTable slots, TimeProvider time, ILogger<EngineLoadPoll> logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(5);
    private bool _isUnknown;

    /// <summary>Decides about the slots after each poll. Null: their number is fixed.</summary>
    public SlotAdaptation? Adaptation { get; set; }

    public Task RunAsync(CancellationToken stoppingToken) =>
        PeriodicLoop.RunAsync(Interval, time, () => PollAsync(stoppingToken), stoppingToken, atOnce: true);

    private async Task PollAsync(CancellationToken stoppingToken)
    {
        var load = await AskAsync(stoppingToken);
        slots.SetEngineLoad(load);
        Adaptation?.Tick(load.Waiting);
    }

    private async Task<EngineLoad> AskAsync(CancellationToken stoppingToken)
    {
        using var timeout = new CancellationTokenSource(AnswerTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stoppingToken);
        try
        {
            var load = await engine.LoadAsync(either.Token);
            _isUnknown = false;
            return load;
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            if (!_isUnknown)
            {
                _isUnknown = true;
                Log.LoadUnknown(logger, shownEngine, exception);
            }

            return EngineLoad.Unknown;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2003, LogLevel.Warning, "The {Engine} does not report its load; load reports leave its KV cache out until it does")]
        public static partial void LoadUnknown(ILogger logger, string engine, Exception exception);
    }
}
