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

/// <summary>What an attempt needs of a replica. Immutable.</summary>
/// <param name="Model">The model it must serve.</param>
/// <param name="Arrival">Place in the queue; unique among waiters.</param>
/// <param name="Displaced">True for a session that lost its replica: the bound on the queue's length does not apply to it.</param>
/// <param name="WaitingSince">
/// When the request first asked for a slot, on the queue's clock, if a full replica refused it since; null if it asks for the first time.
/// </param>
/// <param name="Fingerprint">Only replicas whose model has this fingerprint, or an unknown one; empty: any.</param>
/// <param name="Excluded">Replicas that failed this session: not picked again.</param>
internal sealed record AdmissionRequest(
    string Model, Arrival Arrival, bool Displaced, TimeSpan? WaitingSince, string Fingerprint, IReadOnlyCollection<ReplicaId> Excluded)
{
    /// <summary>Replicas that failed this session before it received its last token: picked only when no other replica can serve it.</summary>
    public IReadOnlyCollection<ReplicaId> LastResort { get; init; } = [];

    /// <summary>A replica with another fingerprint may be picked if none with this one has a free slot.</summary>
    public bool TakesOtherFingerprints { get; init; }

    /// <summary>For <see cref="Balancing.PickContext.SessionKey"/>.</summary>
    public string SessionKey { get; init; } = "";

    /// <summary>For <see cref="Balancing.PickContext.PrefixHashes"/>.</summary>
    public ReadOnlyMemory<ulong> PrefixHashes { get; init; }

    public bool Accepts(Replica replica) =>
        !Names(Excluded, replica) && !Names(LastResort, replica) && HasUsableFingerprint(replica);

    public bool AcceptsAsLastResort(Replica replica) => Names(LastResort, replica) && HasUsableFingerprint(replica);

    /// <summary>Of the accepted replicas, those that are preferred while they have a free slot.</summary>
    public bool Prefers(Replica replica) => !TakesOtherFingerprints || HasFingerprint(replica);

    private static bool Names(IReadOnlyCollection<ReplicaId> replicas, Replica replica) => replicas.Count > 0 && replicas.Contains(replica.Id);

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
