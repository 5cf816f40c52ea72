using System.Diagnostics.Metrics;

namespace Skein.Gateway.Telemetry;

/// <summary>Metrics of the queue's bounds: what waits, and why requests are refused. Label sets are bounded by the models that wait.</summary>
internal sealed class QueueMetrics : IHostedService
{
    public QueueMetrics(IMeterFactory meters, AdmissionQueue admission)
    {
        var meter = meters.Create(MetricNames.Meter);
        meter.CreateObservableGauge(
            "skein.queue.priority", () => ByPriority(admission.ReadVitals()), "{request}", "Requests that wait for a slot, by priority class.");
        meter.CreateObservableGauge("skein.queue.prompt_tokens", () => ByModel(admission.ReadVitals(), queue => queue.PromptTokens),
            "{token}", "Prompt tokens of the requests that wait, estimated from their bytes, by model.");
        meter.CreateObservableGauge("skein.queue.tenants", () => ByModel(admission.ReadVitals(), queue => queue.Tenants),
            "{tenant}", "Tenants with requests that wait, by model; 0 without --tenant-fairness.");
        meter.CreateObservableCounter(
            "skein.queue.refusals",
            () => Enum.GetValues<QueueRefusal>().Select(reason => Measure(admission.Refusals(reason), "reason", WordFor(reason))),
            "{request}", "Requests that the queue refused, by reason.");
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static IEnumerable<Measurement<long>> ByPriority(QueueVitals vitals) => vitals.ByPriority
        .Select(its => Measure(its.Value, "priority", its.Key.ToString(CultureInfo.InvariantCulture))).DefaultIfEmpty(Measure(0, "priority", "0"));

    private static IEnumerable<Measurement<long>> ByModel(QueueVitals vitals, Func<QueueLoad, long> value) => vitals.Models
        .Select(queue => queue.Model.Length > 0 ? Measure(value(queue), MetricNames.ResponseModel, queue.Model) : new Measurement<long>(value(queue)))
        .DefaultIfEmpty(new Measurement<long>(0));

    private static Measurement<long> Measure(long value, string attribute, string attributeValue) =>
        new(value, new KeyValuePair<string, object?>(attribute, attributeValue));

    private static string WordFor(QueueRefusal reason) => JsonNamingPolicy.SnakeCaseLower.ConvertName(reason.ToString());
}
