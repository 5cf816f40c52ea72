using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Skein.Serving;

/// <summary>What <c>grpc.health.v1</c> answers: NOT_SERVING while the replica drains or its engine is lost.</summary>
internal sealed class ReplicaHealth(SlotTable slots, EngineLivenessMonitor watch) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(
            slots.IsDraining ? HealthCheckResult.Unhealthy("draining")
            : watch.IsLost ? HealthCheckResult.Unhealthy("the engine does not answer")
            : HealthCheckResult.Healthy());
}
