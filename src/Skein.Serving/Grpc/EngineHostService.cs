using Microsoft.Extensions.Hosting;

namespace Skein.Serving.Grpc;

/// <summary>
/// Runs an <see cref="EngineHost"/> as part of a .NET host: it reads the slots before the first connection is accepted, and refuses new work while the host
/// stops, since an open bus could bring new work for as long as the last stream runs.
/// </summary>
internal sealed class EngineHostService(EngineHost engineHost) : BackgroundService, IHostedLifecycleService
{
    public Task StartingAsync(CancellationToken cancellationToken) => engineHost.StartAsync(cancellationToken);

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        engineHost.Control.Drain();
        return Task.CompletedTask;
    }

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // The base ends its work with this token, and its host would log that as a crash.
    public override Task StartAsync(CancellationToken cancellationToken) => base.StartAsync(CancellationToken.None);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => engineHost.RunAsync(stoppingToken);
}
