using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Skein.Gateway.Admin;

/// <summary>Whether this gateway can serve: the answer of <c>/readyz</c> and of gRPC health checks. Thread-safe.</summary>
internal sealed class Readiness(FleetTracker fleet, int expectedReplicas) : IHealthCheck
{
    private volatile bool _isStopping;

    /// <summary>Whether the gateway stops soon: load balancers should send no more requests here.</summary>
    public bool IsStopping
    {
        get => _isStopping;
        set => _isStopping = value;
    }

    /// <summary>What is missing; null if the gateway can serve.</summary>
    public string? Missing
    {
        get
        {
            if (_isStopping)
                return "the gateway is stopping";
            // A draining replica counts: it comes back, and a rolling update must not take the gateway out of service.
            List<Replica> live = [.. fleet.Current.Replicas.Where(replica => replica.Reachable && !replica.Description.Suspect)];
            if (live.Count < expectedReplicas)
                return $"{live.Count} of {expectedReplicas} replicas are ready";
            return live.Count == 0 || live.Exists(replica => !replica.Draining) ? null : "all replicas are draining";
        }
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(Missing is { } missing ? HealthCheckResult.Unhealthy(missing) : HealthCheckResult.Healthy());
}
