using System.Diagnostics.Metrics;

namespace Skein.Serving.Grpc;

/// <summary>Gauges and counters of a replica. Thread-safe.</summary>
public sealed class ReplicaMetrics
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Skein.Replica";

    internal ReplicaMetrics(IMeterFactory meters, EngineHost host)
    {
        var meter = meters.Create(MeterName);
        meter.CreateObservableGauge("skein.engine.slots", () => host.Control.Slots, "{slot}", "Slots of this replica.");
        meter.CreateObservableGauge("skein.engine.running", () => (long)host.Control.Report().Running, "{slot}", "Slots in use, for all gateways together.");
        meter.CreateObservableGauge("skein.engine.lost", () => host.IsEngineLost ? 1 : 0, null, "1 while the engine counts as frozen.");
        meter.CreateObservableGauge("skein.engine.draining", () => host.Control.IsDraining ? 1 : 0, null, "1 while this replica takes no new work.");
        meter.CreateObservableCounter("skein.engine.tokens", () => host.Tally.Tokens, "{token}", "Tokens that the engine generated.");
        meter.CreateObservableCounter(
            "skein.engine.attempts",
            () => new[] { Of(host.Tally.Finished, "finished"), Of(host.Tally.Failed, "failed"), Of(host.Tally.Stopped, "stopped") }, "{attempt}",
            "Attempts that have ended, by outcome.");
    }

    private static Measurement<long> Of(long count, string outcome) => new(count, new KeyValuePair<string, object?>("outcome", outcome));
}
