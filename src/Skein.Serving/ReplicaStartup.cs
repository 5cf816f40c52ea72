using Microsoft.Extensions.Hosting;
using Skein.Engines;

namespace Skein.Serving;

/// <summary>Asks the engine for its slots before the first connection is taken, and takes no new work when the host stops.</summary>
internal sealed class ReplicaStartup(ReplicaOptions options, IInferenceEngine engine, SlotTable slots) : IHostedLifecycleService
{
    private const int DefaultSlots = 64;

    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        var description = await engine.DescribeAsync(cancellationToken);
        slots.SetSlots(options.Slots ?? description.Slots ?? DefaultSlots);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // A bus that is open could bring new work for as long as the last stream runs.
    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        slots.SetDraining(true);
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
