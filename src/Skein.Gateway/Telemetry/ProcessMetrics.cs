using System.Diagnostics.Metrics;

namespace Skein.Gateway.Telemetry;

/// <summary>Gauges and counters of the replicas, the configuration, the logs and the build. Thread-safe.</summary>
internal sealed class ProcessMetrics
{
    public ProcessMetrics(IMeterFactory meters, IFleetVitals vitals, ConfigurationState configuration, TelemetryOptions options, TimeProvider time)
    {
        var meter = meters.Create(MetricNames.Meter);
        meter.CreateObservableGauge(
            "skein.replica.slots", () => vitals.Replicas().Select(replica => OfReplica(replica.Slots, replica.Replica)), "{slot}",
            "Slots of a replica, those of other gateways included.");
        meter.CreateObservableGauge(
            "skein.replica.leases", () => vitals.Replicas().Select(replica => OfReplica(replica.Leased, replica.Replica)), "{slot}",
            "Slots of a replica that this gateway uses.");
        meter.CreateObservableGauge(
            "skein.replica.draining", () => vitals.Replicas().Select(replica => OfReplica(replica.Draining ? 1 : 0, replica.Replica)), null,
            "1 while a replica takes no new work.");
        meter.CreateObservableGauge(
            "skein.replica.kv_used", () => vitals.KvUsed().Select(item => new Measurement<double>(
                item.Share, new KeyValuePair<string, object?>(MetricNames.Replica, item.Replica))), null,
            "Share of a replica's KV cache in use, 0 to 1, if it reports it.");
        var startedAt = time.GetUtcNow();
        meter.CreateObservableGauge(
            "skein.process.start_time", () => startedAt.ToUnixTimeMilliseconds() / 1000d, "s", "When this gateway started, in seconds since 1970 (UTC).");
        meter.CreateObservableGauge(
            "skein.config.valid", () => configuration.Problem is null ? 1 : 0, null,
            "0 while a changed configuration file, or file of keys or certificates, is refused.");
        meter.CreateObservableCounter(
            "skein.config.reloads", () => new[] { Reloads(configuration.AppliedCount, "applied"), Reloads(configuration.RefusedCount, "refused") }, "{reload}",
            "Changes of the configuration file and of files of keys and certificates, by outcome.");
        LineSink[] logs = [.. options.Logs, .. options.AccessLog is { } access ? [access] : Array.Empty<LineSink>()];
        meter.CreateObservableCounter(
            "skein.log.dropped", () => logs.Select(log => new Measurement<long>(log.Dropped, new KeyValuePair<string, object?>("log", log.Name))), "{line}",
            "Lines that a log did not take.");
        meter.CreateObservableGauge(
            "skein.build.info", () => new Measurement<int>(1, new("version", BuildInfo.Version), new("dotnet", Environment.Version.ToString())), null,
            "1, with the version of this gateway.");
    }

    private static Measurement<int> OfReplica(int value, string replica) => new(value, new KeyValuePair<string, object?>(MetricNames.Replica, replica));

    private static Measurement<long> Reloads(long count, string outcome) => new(count, new KeyValuePair<string, object?>("outcome", outcome));
}
