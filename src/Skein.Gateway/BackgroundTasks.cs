using System.Collections.Concurrent;

namespace Skein.Gateway;

/// <summary>Runs the loops of the gateway. A loop that throws is logged by the host and stops it. Thread-safe.</summary>
internal sealed class BackgroundTasks : BackgroundService
{
    private readonly ConcurrentDictionary<Task, bool> _running = [];
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Cancelled when the host has stopped serving, or this service is disposed.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>Observes a loop that ends once <see cref="Stopping"/> is cancelled. The host waits for it when it stops.</summary>
    public void Observe(Task loop)
    {
        _running[loop] = true;
        _ = ObserveAsync(loop);
    }

    // The base ends its work with this token, and its host would log that as a crash.
    public override Task StartAsync(CancellationToken cancellationToken) => base.StartAsync(CancellationToken.None);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_running.Keys).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    public override void Dispose()
    {
        // May be called twice: for the singleton and for the hosted service. The source has neither timer nor handle.
        _stopping.Cancel();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await _failed.Task.WaitAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Caught here: a host whose start failed would log it as a crash.
        }
    }

    private async Task ObserveAsync(Task loop)
    {
        try
        {
            await loop;
        }
        catch (OperationCanceledException) when (Stopping.IsCancellationRequested)
        {
            // The host stops.
        }
        catch (Exception failure)
        {
            _failed.TrySetException(failure);
        }
        _running.TryRemove(loop, out _);
    }
}
