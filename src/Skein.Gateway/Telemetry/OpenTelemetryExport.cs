using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Skein.Serving.Grpc;

namespace Skein.Gateway.Telemetry;

/// <summary>Exports metrics to Prometheus, and metrics, traces and logs over OTLP where an address is configured.</summary>
public static class OpenTelemetryExport
{
    private const string GatewayName = "skein-gateway";
    private const string ReplicaName = "skein-replica";

    /// <summary>A stop waits for the last export of each signal: a collector that does not answer must not hold it up.</summary>
    private static readonly TimeSpan ExportTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Exports what a replica measures and traces, and its logs. Without an address nothing is exported.</summary>
    /// <param name="name">Of the replica; null: host and process id.</param>
    public static void AddReplicaExport(this IServiceCollection services, TelemetryOptions options, string? name)
    {
        if (options.Checked().Otlp is null)
            return;
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => Describe(resource, ReplicaName, name))
            .WithMetrics(metrics => metrics.AddMeter(ReplicaMetrics.MeterName).AddRuntimeInstrumentation()
                .AddOtlpExporter(otlp => Configure(otlp, options, "v1/metrics")));
        AddTracesAndLogs(telemetry, options, AttemptTrace.SourceName);
    }

    internal static void AddExport(this IServiceCollection services, TelemetryOptions options)
    {
        var telemetry = services.AddOpenTelemetry()
            .ConfigureResource(resource => Describe(resource, GatewayName, options.InstanceId))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(MetricNames.Meter).AddRuntimeInstrumentation().AddPrometheusExporter();
                if (options.Otlp is not null)
                    metrics.AddOtlpExporter(otlp => Configure(otlp, options, "v1/metrics"));
            });
        if (options.Otlp is not null)
            AddTracesAndLogs(telemetry, options, RequestTrace.SourceName);
    }

    private static void Describe(ResourceBuilder resource, string service, string? instance) => resource.AddService(
        Environment.GetEnvironmentVariable("OTEL_SERVICE_NAME") ?? service, serviceVersion: BuildInfo.Version,
        serviceInstanceId: instance ?? $"{Environment.MachineName}-{Environment.ProcessId}");

    private static void AddTracesAndLogs(OpenTelemetryBuilder telemetry, TelemetryOptions options, string source) => telemetry
        .WithTracing(traces => traces
            .AddSource(source)
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceShare)))
            .AddOtlpExporter(otlp => Configure(otlp, options, "v1/traces")))
        .WithLogging(logs => logs.AddOtlpExporter(otlp => Configure(otlp, options, "v1/logs")));

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
