using Microsoft.Extensions.Hosting;

namespace Skein.Serving;

/// <summary>
/// The lifetime of a host whose owner starts and stops it. The default lifetime stops the host at SIGTERM by itself, before the owner has drained it.
/// </summary>
public sealed class OwnedHostLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
