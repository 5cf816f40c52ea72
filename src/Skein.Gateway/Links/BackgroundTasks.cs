using Microsoft.Extensions.Hosting;

namespace Skein.Gateway.Links;

/// <summary>A hosted service whose work is many tasks. One that throws is logged by the host and stops it.</summary>
internal abstract class BackgroundTasks : BackgroundService
{
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes, with the exception, when a task has thrown.</summary>
    internal Task Failed => _failed.Task;

    /// <summary>Adds a task.</summary>
    protected void Observe(Task task) => _ = ObserveAsync(task);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await _failed.Task.WaitAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops.
        }
    }

    private async Task ObserveAsync(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception failure)
        {
            _failed.TrySetException(failure);
        }
    }
}
