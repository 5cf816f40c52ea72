using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Skein.Serving.Grpc;

/// <summary>Answers <c>grpc.health.v1</c>: NOT_SERVING while the replica drains or its engine is lost.</summary>
internal sealed class ReplicaHealth(EngineHost host) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(
            host.Control.IsDraining ? HealthCheckResult.Unhealthy("draining")
            : host.IsEngineLost ? HealthCheckResult.Unhealthy("the engine does not answer")
            : HealthCheckResult.Healthy());
}
