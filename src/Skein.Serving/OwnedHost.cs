using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Hosting;

namespace Skein.Serving;

/// <summary>A host whose owner starts and stops it.</summary>
public static class OwnedHost
{
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Starts a host that listens on these endpoints.</summary>
    /// <returns>The endpoints, with their actual ports.</returns>
    /// <exception cref="BindException">An endpoint is in use, not this machine's, or not allowed.</exception>
    public static async Task<IPEndPoint[]> ListenAsync(this WebApplication app, IPEndPoint[] endpoints, CancellationToken cancellationToken)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (Exception cause) when (cause is IOException or SocketException)
        {
            // Kestrel names the address that failed in its own message only.
            var failed = Array.Find(endpoints, endpoint => cause.Message.Contains($":{endpoint.Port}", StringComparison.Ordinal));
            var named = failed?.ToString() ?? string.Join<IPEndPoint>(" and ", endpoints);
            throw new BindException($"cannot listen on {named}: {cause.GetBaseException().Message}", cause);
        }
        return [.. endpoints.Zip(app.Urls, (endpoint, url) => new IPEndPoint(endpoint.Address, new Uri(url).Port))];
    }

    /// <summary>
    /// Disposes the host. If it was not stopped, its connections are closed first, within 2 s: a request that came later would find no services.
    /// </summary>
    public static async ValueTask CloseAsync(this WebApplication app)
    {
        try
        {
            using var timeout = new CancellationTokenSource(CloseTimeout, TimeProvider.System);
            if (!app.Lifetime.ApplicationStopped.IsCancellationRequested)
                await app.StopAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            // The host throws this when the time is over. It has aborted the requests that were left.
        }

        await app.DisposeAsync();
    }
}

/// <summary>A host cannot listen on one of its endpoints. The message is one line for the operator.</summary>
public sealed class BindException(string message, Exception cause) : Exception(message, cause);

/// <summary>Replaces the default lifetime, which stops the host at SIGTERM by itself, before the owner has drained it.</summary>
public sealed class OwnedHostLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
