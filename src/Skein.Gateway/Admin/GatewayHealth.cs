using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Skein.Gateway.Admin;

/// <summary>The gRPC twin of <c>/readyz</c>.</summary>
internal sealed class GatewayHealth(Readiness readiness) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(readiness.Missing is { } missing ? HealthCheckResult.Unhealthy(missing) : HealthCheckResult.Healthy());
}
