using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Connections;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Security;

/// <summary>
/// Bounds the connections of clients on all listeners together; a further one is closed before a byte is read. Kestrel's own bound counts each listener for
/// itself. Thread-safe.
/// </summary>
internal sealed class ConnectionBound
{
    private readonly int _most;
    private int _open;
    private long _refused;

    public ConnectionBound(GatewayOptions options, IMeterFactory meters)
    {
        _most = options.MaxConnections;
        var meter = meters.Create(MetricNames.Meter);
        meter.CreateObservableGauge("skein.connections", () => Volatile.Read(ref _open), "{connection}", "Open connections of clients.");
        meter.CreateObservableCounter(
            "skein.connections.refused", () => Interlocked.Read(ref _refused), "{connection}", "Connections closed at once, because as many were open as may.");
    }

    public ConnectionDelegate Before(ConnectionDelegate next) => connection => EnterAsync(connection, next);

    private async Task EnterAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        try
        {
            if (Interlocked.Increment(ref _open) <= _most)
            {
                await next(connection);
                return;
            }
            Interlocked.Increment(ref _refused);
            connection.Abort();
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }
}
