using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Skein.Replica.Serving;

/// <summary>What <c>grpc.health.v1</c> answers: NOT_SERVING while the replica drains.</summary>
internal sealed class ReplicaHealth(SlotTable slots) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(slots.IsDraining ? HealthCheckResult.Unhealthy("draining") : HealthCheckResult.Healthy());
}
