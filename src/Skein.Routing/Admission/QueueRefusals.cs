using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>
/// Refuses requests that the queue cannot take or could not serve, tells their callers when to come back, and counts them. Used under the admission lock.
/// </summary>
internal sealed class QueueRefusals(AdmissionOptions options)
{
    /// <summary>Places that should be free when a refused caller comes back, because service is uneven.</summary>
    private const int SparePlaces = 5;

    /// <summary>Minimum time in which a restarted replica can return.</summary>
    private static readonly TimeSpan ReplicaReturn = TimeSpan.FromSeconds(1);

    private readonly long[] _counts = new long[Enum.GetValues<QueueRefusal>().Length];

    public AdmissionOptions Options { get; set; } = options;

    public RetryAfterEstimators Estimators { get; } = new();

    public long Count(QueueRefusal reason) => _counts[(int)reason];

    /// <exception cref="FaultException">No replica can serve the model, or it is unknown.</exception>
    public static void RequireServable(string model, FleetSnapshot fleet)
    {
        if (fleet.Serving(model).IsEmpty && fleet.TroubleOf(model) is { IsFinal: true } trouble)
            throw InTrouble(model, trouble.Fault, trouble.Message);
        if (!fleet.MayServe(model))
            throw Unknown(model, fleet);
    }

    /// <param name="queue">The model's queue; null: nobody waits.</param>
    /// <exception cref="FaultException">The queue has no room for the request.</exception>
    public void RequireRoom(AdmissionRequest request, ModelQueue? queue, FleetSnapshot fleet, TimeSpan now)
    {
        var model = request.Model;
        var waiting = queue?.Count ?? 0;
        var estimator = Estimators.Of(model);
        estimator.FoundNoSlot();
        if (!estimator.HasShare)
            estimator.Expect(Expected(fleet.Serving(model), now));
        var most = MostWaiting(model);
        // Places of callers that were told to come back are kept for them, but not so many that slots could become idle.
        var kept = request.Traits.IsRetry ? 0 : Math.Min(estimator.ExpectedAt(now), most / 2);
        var tokens = queue?.PromptTokens ?? 0;
        QueueRefusal? refusal = waiting >= most ? QueueRefusal.QueueLength
            : waiting + kept >= most ? QueueRefusal.PlacesKept
            : tokens + request.Traits.PromptTokens > Options.QueuePromptTokens && waiting > 0 ? QueueRefusal.PromptTokens
            : null;
        if (refusal is { } reason)
        {
            _counts[(int)reason]++;
            var why = reason == QueueRefusal.PromptTokens
                ? $"its queue has prompts of about {tokens} tokens, of {Options.QueuePromptTokens} allowed"
                : $"its queue is full ({waiting} waiting)";
            throw new FaultException(
                Fault.QueueFull, $"all slots for model '{model}' are busy and {why}", retryAfter: RetryAfter(model, queue, now));
        }
        if (request.Traits.IsRetry)
            estimator.Returned(now);
    }

    /// <summary>The error of a waiter that was not served in time.</summary>
    public FaultException Expired(Waiter waiter, ModelQueue? queue, FleetSnapshot fleet, TimeSpan now)
    {
        var model = waiter.Request.Model;
        var waited = now - waiter.EnqueuedAt;
        if (waiter.Request.IsSuspect)
        {
            return new FaultException(
                Fault.StreamLost,
                $"two replicas died on this request in a row, and for {waited.TotalSeconds:0.#} s it could not be tried alone beside another live replica");
        }
        _counts[(int)(waiter.UnservableSince is null ? QueueRefusal.Timeout : QueueRefusal.NoReplica)]++;
        if (waiter.UnservableSince is null)
        {
            return new FaultException(
                Fault.QueueTimeout,
                $"no slot for model '{model}' came free within {waited.TotalSeconds:0.#} s",
                retryAfter: RetryAfter(model, queue, now));
        }
        if (waiter.IsHopeless && fleet.TroubleOf(model) is { IsFinal: true } trouble)
            return InTrouble(model, trouble.Fault, trouble.Message);
        return fleet.MayServe(model)
            ? new FaultException(
                Fault.NoReplica,
                $"no live replica could serve model '{model}' for {waited.TotalSeconds:0.#} s{Because(model, fleet)}",
                retryAfter: ReplicaReturn + RetryAfter(model, queue, now))
            : Unknown(model, fleet);
    }

    /// <summary>A waiter leaves because of its own deadline.</summary>
    /// <returns>When its caller may retry.</returns>
    public TimeSpan PastDeadline(string model, ModelQueue? queue, TimeSpan now)
    {
        _counts[(int)QueueRefusal.Deadline]++;
        return RetryAfter(model, queue, now);
    }

    private static FaultException InTrouble(string model, Fault fault, string message) =>
        new(fault, $"no replica can serve model '{model}': {message}");

    private static FaultException Unknown(string model, FleetSnapshot fleet) => new(
        Fault.ModelNotFound,
        fleet.ServedModels.Count == 0
            ? $"model '{model}' is not known here; no model is served now"
            : $"model '{model}' is not known here; served are {string.Join(", ", fleet.ServedModels.Order(StringComparer.Ordinal).Take(16))}");

    private static string Because(string model, FleetSnapshot fleet) =>
        fleet.TroubleOf(model).Message is { Length: > 0 } message ? $": {message}" : "";

    /// <summary>Most waiters: no more than can be served before they time out.</summary>
    private int MostWaiting(string model) => Math.Min(Options.QueueLength, Estimators.Of(model).ServedWithin(Options.QueueTimeout));

    /// <summary>Slots that this gateway can expect to use: those that others do not use now.</summary>
    private static int Expected(ReadOnlySpan<Replica> serving, TimeSpan now)
    {
        var slots = 0;
        foreach (var replica in serving)
            slots += Math.Max(Math.Max(1, replica.Leased), replica.Slots - (int)Math.Round(replica.ExternalLoad(now)));
        return slots;
    }

    private TimeSpan RetryAfter(string model, ModelQueue? queue, TimeSpan now)
    {
        var most = MostWaiting(model);
        var ahead = Math.Max(0, (queue?.Count ?? 0) - most) + Math.Min(SparePlaces, most / 8);
        return Estimators.Of(model).TakePlace(ahead, now);
    }
}
