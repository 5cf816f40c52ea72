using System.Collections.Frozen;
using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>Place in the queue: by priority class, then arrival, then choice. A displaced session keeps its place.</summary>
/// <param name="Priority">Lower values are served sooner.</param>
/// <param name="Sequence">Rising number of the session's arrival at this gateway; unique.</param>
/// <param name="Choice">Which of the session's choices.</param>
internal readonly record struct Arrival(int Priority, long Sequence, int Choice)
{
    /// <summary>When the session arrived, on the queue's clock; null: its wait counts from its entry into the queue.</summary>
    public TimeSpan? At { get; init; }

    public static int Order(Arrival left, Arrival right) =>
        (left.Priority, left.Sequence, left.Choice).CompareTo((right.Priority, right.Sequence, right.Choice));
}

/// <summary>What admission knows of a client's request, whichever attempt asks. Immutable.</summary>
internal sealed record RequestTraits
{
    public static RequestTraits None { get; } = new();

    /// <summary>For <see cref="Balancing.PickContext.SessionKey"/>.</summary>
    public string SessionKey { get; init; } = "";

    /// <summary>For <see cref="Balancing.PickContext.PrefixHashes"/>.</summary>
    public ReadOnlyMemory<ulong> PrefixHashes { get; init; }

    /// <summary>Whose request it is, for fairness between tenants; empty: nobody's in particular.</summary>
    public string Tenant { get; init; } = "";

    /// <summary>Estimate of the prompt's length.</summary>
    public long PromptTokens { get; init; }

    /// <summary>The client was refused before and comes back.</summary>
    public bool IsRetry { get; init; }
}

/// <summary>What an attempt needs of a replica. Immutable.</summary>
/// <param name="Arrival">Place in the queue; unique among waiters.</param>
/// <param name="Displaced">True for a session that lost its replica: the bound on the queue's length does not apply to it.</param>
/// <param name="WaitingSince">
/// When the request first asked for a slot, on the queue's clock, if a full replica refused it since; null if it asks for the first time.
/// </param>
/// <param name="Fingerprint">Only replicas whose model has this fingerprint, or an unknown one; empty: any.</param>
/// <param name="Excluded">Replicas that are not picked.</param>
internal sealed record AdmissionRequest(
    string Model, Arrival Arrival, bool Displaced, TimeSpan? WaitingSince, string Fingerprint, IReadOnlyCollection<ReplicaId> Excluded)
{
    /// <summary>
    /// Replicas that failed this session, each with the time from which it may be asked again, on the queue's clock; <see cref="TimeSpan.MaxValue"/>: never.
    /// They are picked only when no other replica can serve it.
    /// </summary>
    public IReadOnlyDictionary<ReplicaId, TimeSpan> AskAgainAt { get; init; } = FrozenDictionary<ReplicaId, TimeSpan>.Empty;

    /// <summary>
    /// The request may be what killed its last replicas: one such request runs at a time until it has its next token, and never on a model's last live
    /// replica.
    /// </summary>
    public bool IsSuspect => SuspectFrom is not null;

    /// <summary>From when the suspect request may run, on the queue's clock; null: it is not suspect.</summary>
    public TimeSpan? SuspectFrom { get; init; }

    /// <summary>A replica with another fingerprint may be picked if none with this one has a free slot.</summary>
    public bool TakesOtherFingerprints { get; init; }

    /// <summary>What is the same for all attempts of the request.</summary>
    public RequestTraits Traits { get; init; } = RequestTraits.None;

    /// <summary>Any replica is accepted, and none is preferred.</summary>
    public bool AcceptsAll => Excluded.Count == 0 && AskAgainAt.Count == 0 && Fingerprint.Length == 0;

    public bool Accepts(Replica replica) =>
        !IsExcluded(replica) && !AskAgainAt.ContainsKey(replica.Id) && HasUsableFingerprint(replica);

    /// <summary>When a replica that failed this session may be asked again; null: never.</summary>
    public TimeSpan? LastResortAt(Replica replica) =>
        AskAgainAt.TryGetValue(replica.Id, out var at) && at < TimeSpan.MaxValue && !IsExcluded(replica) && HasUsableFingerprint(replica) ? at : null;

    /// <summary>Of the accepted replicas, those that are preferred while they have a free slot.</summary>
    public bool Prefers(Replica replica) => !TakesOtherFingerprints || Fingerprint.Length == 0 || HasFingerprint(replica);

    private bool IsExcluded(Replica replica) => Excluded.Count > 0 && Excluded.Contains(replica.Id);

    private bool HasUsableFingerprint(Replica replica) => TakesOtherFingerprints || HasFingerprint(replica);

    private bool HasFingerprint(Replica replica) =>
        Fingerprint.Length == 0 || replica.Description.FingerprintOf(Model) is not { Length: > 0 } its
        || string.Equals(Fingerprint, its, StringComparison.Ordinal);
}

/// <summary>One request in a queue. Used under the admission lock; only the completion is completed outside of it.</summary>
internal sealed class Waiter(AdmissionRequest request, TimeSpan enqueuedAt)
{
    public static IComparer<Waiter> ByArrival { get; } =
        Comparer<Waiter>.Create((left, right) => Arrival.Order(left.Request.Arrival, right.Request.Arrival));

    public AdmissionRequest Request => request;

    public TimeSpan EnqueuedAt => enqueuedAt;

    /// <summary>A replica may be asked again after a pause, without any event.</summary>
    public bool IsPausing => request.AskAgainAt.Count > 0 || request.IsSuspect;

    /// <summary>When its session arrived; a displaced session arrived long before it joined this queue.</summary>
    public TimeSpan Since => request.Arrival.At ?? enqueuedAt;

    /// <summary>Time from which no live replica could serve it; null while one can.</summary>
    public TimeSpan? UnservableSince { get; set; }

    /// <summary>Whether waiting cannot help: see <see cref="FleetSnapshot.TroubleOf"/>.</summary>
    public bool IsHopeless { get; set; }

    /// <summary>Completed exactly once, by the caller that removed the waiter from the queue.</summary>
    public TaskCompletionSource<ReplicaLease> Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ITimer? Timer { get; set; }
}
