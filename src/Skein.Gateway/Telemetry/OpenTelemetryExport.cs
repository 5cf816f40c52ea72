using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Skein.Gateway.Telemetry;

/// <summary>Exports metrics to Prometheus, and metrics, traces and logs over OTLP where an address is configured.</summary>
internal static class OpenTelemetryExport
{
    private const string ServiceName = "skein-gateway";

    /// <summary>A stop waits for the last export of each signal: a collector that does not answer must not hold it up.</summary>
    private static readonly TimeSpan ExportTimeout = TimeSpan.FromSeconds(2);

    public static void AddExport(this IServiceCollection services, TelemetryOptions options)
    {
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(
                Environment.GetEnvironmentVariable("OTEL_SERVICE_NAME") ?? ServiceName, serviceVersion: BuildInfo.Version,
                serviceInstanceId: options.InstanceId ?? $"{Environment.MachineName}-{Environment.ProcessId}"))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(MetricNames.Meter).AddRuntimeInstrumentation().AddPrometheusExporter();
                if (options.Otlp is not null)
                    metrics.AddOtlpExporter(otlp => Configure(otlp, options, "v1/metrics"));
            });
        if (options.Otlp is null)
            return;
        telemetry
            .WithTracing(traces => traces
                .AddSource(RequestTrace.SourceName)
                .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceShare)))
                .AddOtlpExporter(otlp => Configure(otlp, options, "v1/traces")))
            .WithLogging(logs => logs.AddOtlpExporter(otlp => Configure(otlp, options, "v1/logs")));
    }

    // With an endpoint that is set in code, the exporter does not add the path of the signal itself.
    private static void Configure(OtlpExporterOptions otlp, TelemetryOptions options, string path)
    {
        var endpoint = options.Otlp!;
        if (Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_TIMEOUT") is null)
            otlp.TimeoutMilliseconds = (int)ExportTimeout.TotalMilliseconds;
        otlp.Protocol = options.OtlpOverHttp ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
        otlp.Endpoint = options.OtlpOverHttp ? new Uri($"{endpoint.AbsoluteUri.TrimEnd('/')}/{path}") : endpoint;
    }
}
