using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Metrics;

namespace Skein.Gateway.Telemetry;

/// <summary>Exports the metrics of the gateway and of the .NET runtime to Prometheus.</summary>
public static class SkeinTelemetry
{
    /// <summary>Registers the gateway's metrics. Needs <see cref="IFleetVitals"/> in the services.</summary>
    public static IServiceCollection AddSkeinTelemetry(this IServiceCollection services)
    {
        services.AddMetrics();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<RequestTally>();
        services.TryAddSingleton<GatewayMetrics>();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(MetricNames.Meter)
            .AddRuntimeInstrumentation()
            .AddPrometheusExporter());
        services.AddHostedService<ZerosAtStart>();
        return services;
    }

    /// <summary>Maps <c>GET /metrics</c> in Prometheus' text format.</summary>
    public static IEndpointConventionBuilder MapSkeinMetrics(this IEndpointRouteBuilder endpoints) =>
        endpoints.MapPrometheusScrapingEndpoint("/metrics");

    /// <summary>Registered after OpenTelemetry's hosted service, so that the exporter has started when this service starts.</summary>
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
