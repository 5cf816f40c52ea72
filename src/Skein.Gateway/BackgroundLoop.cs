using Microsoft.Extensions.Hosting;

namespace Skein.Gateway;

/// <summary>Runs a loop for as long as the host does. A loop that throws is logged by the host and stops it.</summary>
internal sealed class BackgroundLoop(Func<CancellationToken, Task> run) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await run(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopped.
        }
    }
}
