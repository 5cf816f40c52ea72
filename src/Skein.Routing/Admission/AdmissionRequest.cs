using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>Place in the line: priority class first, then arrival, then choice. A displaced session keeps the place it once had.</summary>
/// <param name="Priority">Lower is sooner.</param>
/// <param name="Sequence">Rising number of the session's arrival at this gateway; unique.</param>
/// <param name="Choice">Which of the session's choices.</param>
public readonly record struct Arrival(int Priority, long Sequence, int Choice)
{
    /// <summary>When it came, on the queue's clock; null: not known, its place counts from when it joined the line.</summary>
    public TimeSpan? At { get; init; }

    /// <summary>Negative when <paramref name="left"/> is ahead of <paramref name="right"/>.</summary>
    public static int Order(Arrival left, Arrival right) =>
        left.Priority != right.Priority ? left.Priority.CompareTo(right.Priority)
        : left.Sequence != right.Sequence ? left.Sequence.CompareTo(right.Sequence)
        : left.Choice.CompareTo(right.Choice);
}

/// <summary>What an attempt needs. Immutable.</summary>
/// <param name="Model">Model to be served.</param>
/// <param name="Arrival">Place in the line; unique among waiters.</param>
/// <param name="Displaced">True for a session that lost its replica: the bound on the line's length does not apply to it.</param>
/// <param name="WaitingSince">When it first asked and was sent away by a full replica, on the queue's clock; null: it asks for the first time.</param>
/// <param name="Fingerprint">Only replicas whose model has this fingerprint (or an unknown one); empty: any.</param>
/// <param name="Excluded">Lives that failed this session: not asked again.</param>
public sealed record AdmissionRequest(string Model, Arrival Arrival, bool Displaced, TimeSpan? WaitingSince, string Fingerprint, IReadOnlyCollection<ReplicaId> Excluded)
{
    /// <summary>Lives that failed this session too, but before it had its newest tokens from others: asked when nobody else could serve it. Default none.</summary>
    public IReadOnlyCollection<ReplicaId> LastResort { get; init; } = [];

    /// <summary>A replica with another fingerprint will do where none with this one has a free slot. Default false.</summary>
    public bool TakesOtherFingerprints { get; init; }

    internal bool Accepts(Replica replica) =>
        !Names(Excluded, replica) && !Names(LastResort, replica) && HasUsableFingerprint(replica);

    internal bool AcceptsAsLastResort(Replica replica) => Names(LastResort, replica) && HasUsableFingerprint(replica);

    /// <summary>Of those that it accepts, these are picked from while they have a free slot.</summary>
    internal bool Prefers(Replica replica) => !TakesOtherFingerprints || HasFingerprint(replica);

    private static bool Names(IReadOnlyCollection<ReplicaId> lives, Replica replica) => lives.Count > 0 && lives.Contains(replica.Id);

    private bool HasUsableFingerprint(Replica replica) => TakesOtherFingerprints || HasFingerprint(replica);

    private bool HasFingerprint(Replica replica) =>
        Fingerprint.Length == 0 || replica.Description.FingerprintOf(Model) is not { Length: > 0 } its
        || string.Equals(Fingerprint, its, StringComparison.Ordinal);
}
