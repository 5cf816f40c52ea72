using OpenTelemetry.Metrics;

namespace Skein.Gateway.Telemetry;

/// <summary>Exports the metrics of the gateway and of the .NET runtime to Prometheus.</summary>
internal static class SkeinTelemetry
{
    /// <summary>Registers the gateway's metrics. Needs <see cref="IFleetVitals"/>, <see cref="RoutingStatistics"/> and <see cref="TimeProvider"/>.</summary>
    public static void AddSkeinTelemetry(this IServiceCollection services)
    {
        services.AddMetrics();
        services.AddSingleton<RequestTally>();
        services.AddSingleton<GatewayMetrics>();
        services.AddOpenTelemetry().WithMetrics(metrics => metrics
            .AddMeter(MetricNames.Meter)
            .AddRuntimeInstrumentation()
            .AddPrometheusExporter());
        // After OpenTelemetry's hosted service, so that the exporter has started when the metrics start.
        services.AddHostedService(provider => provider.GetRequiredService<GatewayMetrics>());
    }
}
