using Microsoft.Extensions.Hosting;

namespace Skein.Gateway.Links;

/// <summary>A hosted service whose work is many tasks. One that throws is logged by the host and stops it.</summary>
internal abstract class BackgroundTasks : BackgroundService
{
    private readonly TaskCompletionSource _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes, with the exception, when a task has thrown.</summary>
    internal Task Failed => _failed.Task;

    /// <summary>Adds a task.</summary>
    protected void Observe(Task task) => task.ContinueWith(
        static (failed, service) => ((BackgroundTasks)service!)._failed.TrySetException(failed.Exception!.InnerExceptions),
        this,
        CancellationToken.None,
        TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
        TaskScheduler.Default);

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
}
