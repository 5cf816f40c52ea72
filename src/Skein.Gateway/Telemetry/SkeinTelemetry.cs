using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Metrics;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Telemetry;

/// <summary>Metrics of the gateway and of the .NET runtime, for Prometheus.</summary>
public static class SkeinTelemetry
{
    /// <summary>Collects the gateway's metrics. Needs <see cref="IFleetVitals"/> in the services.</summary>
    public static IServiceCollection AddSkeinTelemetry(this IServiceCollection services)
    {
        services.AddMetrics();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<RequestTally>();
        services.TryAddSingleton<RequestMemoryBudget>();
        services.TryAddSingleton<GatewayMetrics>();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(MetricNames.Meter)
            .AddRuntimeInstrumentation()
            .AddPrometheusExporter());
        services.AddHostedService<ZerosAtStart>();
        return services;
    }

    /// <summary><c>GET /metrics</c> in Prometheus' text format.</summary>
    public static IEndpointConventionBuilder MapSkeinMetrics(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapPrometheusScrapingEndpoint("/metrics");

    /// <summary>OpenTelemetry's own hosted service is first in line, so that its collection listens when this one starts.</summary>
    private sealed class ZerosAtStart(GatewayMetrics metrics) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            metrics.RecordZeros();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
