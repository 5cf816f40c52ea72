using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Skein.Engines;

namespace Skein.Serving;

/// <summary>Asks the engine for its load once a second, so that reports tell it without waiting for the engine.</summary>
internal sealed partial class EngineLoadPoll(IInferenceEngine engine, SlotTable slots, TimeProvider time, ILogger<EngineLoadPoll> logger)
    : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private bool _isLost;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                slots.SetKvUsed((await AskAsync(stoppingToken)).KvUsedPermille);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Told here: a host whose start failed takes it for a crash.
        }
    }

    private async Task<EngineLoad> AskAsync(CancellationToken stoppingToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
        try
        {
            var load = await engine.LoadAsync(either.Token);
            _isLost = false;
            return load;
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            if (!_isLost)
            {
                _isLost = true;
                Log.LoadUnknown(logger, engine.Kind, exception);
            }

            return EngineLoad.Unknown;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2003, LogLevel.Warning, "The {Engine} engine does not tell its load: reports say unknown until it does")]
        public static partial void LoadUnknown(ILogger logger, string engine, Exception exception);
    }
}
