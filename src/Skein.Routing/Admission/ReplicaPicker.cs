using Skein.Routing.Balancing;
using Skein.Routing.Fleet;

namespace Skein.Routing.Admission;

/// <summary>Which requests could use a model's free slots.</summary>
internal enum FreeFor
{
    /// <summary>No slot is free.</summary>
    None,

    /// <summary>Only displaced sessions without another replica: all free slots are at ejected replicas.</summary>
    Displaced,

    /// <summary>Any request that accepts the replica.</summary>
    Any,
}

/// <summary>
/// Picks the replica for a request: a healthy one, else one that membership suspects. A session without another replica gets an ejected one, and last
/// one that failed this session, after a pause, because a stream that is not continued is certainly lost. Not thread-safe; used under the
/// admission lock.
/// </summary>
internal sealed class ReplicaPicker(IBalancingPolicy policy, IRandomSource random)
{
    private const int SuspectedRank = 2;
    private const int EjectedRank = 4;

    private BalancingCandidate[] _candidates = new BalancingCandidate[16];

    /// <param name="isUsed">The slot is reserved at once; otherwise the pick only tells that there is one.</param>
    public Replica? Pick(ReadOnlySpan<Replica> serving, AdmissionRequest request, TimeSpan now, bool isUsed = true)
    {
        if (_candidates.Length < serving.Length)
            _candidates = new BalancingCandidate[serving.Length * 2];
        if (request.IsSuspect && !HasSpare(serving))
            return null;
        var count = Gather(serving, request, now, isLastResort: false);
        if (count == 0 && request.AskAgainAt.Count > 0 && !CanServe(serving, request, isLastResort: false))
            count = Gather(serving, request, now, isLastResort: true);
        if (count == 0)
            return null;
        if (!isUsed)
            return _candidates[0].Replica;
        var context = new PickContext
        {
            Candidates = _candidates.AsSpan(0, count), Random = random, Model = request.Model,
            Now = now, Serving = serving.Length, SessionKey = request.Traits.SessionKey,
            PrefixHashes = request.Traits.PrefixHashes.Span,
        };
        var picked = policy.Pick(in context);
        policy.Used(in context, picked);
        return _candidates[picked].Replica;
    }

    /// <summary>True when a replica could take the request, once it has a free slot.</summary>
    public static bool CanServe(ReadOnlySpan<Replica> serving, AdmissionRequest request) =>
        (!request.IsSuspect || HasSpare(serving))
        && (CanServe(serving, request, isLastResort: false) || CanServe(serving, request, isLastResort: true));

    /// <summary>
    /// When a replica may be asked that is alive now, whether it has a free slot or not. Zero: at once; <see cref="TimeSpan.MaxValue"/>: never again; null:
    /// none is alive.
    /// </summary>
    public static TimeSpan? SoonestFor(ReadOnlySpan<Replica> serving, AdmissionRequest request)
    {
        TimeSpan? soonest = null;
        foreach (var replica in serving)
        {
            if (!replica.TakesWork)
                continue;
            if (request.Accepts(replica))
                return TimeSpan.Zero;
            if (request.AskAgainAt.TryGetValue(replica.Id, out var at) && (soonest is null || at < soonest))
                soonest = at;
        }
        return soonest;
    }

    /// <summary>More than one live replica serves the model.</summary>
    private static bool HasSpare(ReadOnlySpan<Replica> serving)
    {
        var alive = 0;
        foreach (var replica in serving)
            alive += replica.TakesWork ? 1 : 0;
        return alive > 1;
    }

    /// <summary>Which requests could use the slots that are free, as far as known.</summary>
    public static FreeFor FreeSlots(ReadOnlySpan<Replica> serving, TimeSpan now)
    {
        var free = FreeFor.None;
        foreach (var replica in serving)
        {
            if (!replica.TakesWork || !replica.HasFreeSlot(now))
                continue;
            if (replica.Breaker.Allows(now))
                return FreeFor.Any;
            free = FreeFor.Displaced;
        }
        return free;
    }

    /// <summary>True when a slot may become free without any event: an estimate decays, an open breaker becomes half-open.</summary>
    public static bool WaitsForTime(ReadOnlySpan<Replica> serving, TimeSpan now)
    {
        foreach (var replica in serving)
        {
            if (replica.IsFullByEstimate(now) || (replica.TakesWork && replica.Breaker.IsEjected))
                return true;
        }
        return false;
    }

    private static bool CanServe(ReadOnlySpan<Replica> serving, AdmissionRequest request, bool isLastResort, bool evenIfEjected = true)
    {
        foreach (var replica in serving)
        {
            if (replica.TakesWork && (evenIfEjected || !replica.Breaker.IsEjected) && Accepts(request, replica, isLastResort))
                return true;
        }
        return false;
    }

    private static bool Accepts(AdmissionRequest request, Replica replica, bool isLastResort) =>
        isLastResort ? request.LastResortAt(replica) is not null : request.Accepts(replica);

    private int Gather(ReadOnlySpan<Replica> serving, AdmissionRequest request, TimeSpan now, bool isLastResort)
    {
        var count = 0;
        var best = int.MaxValue;
        var acceptsAll = request.AcceptsAll;
        foreach (var replica in serving)
        {
            var external = replica.ExternalLoad(now);
            if (!replica.TakesWork || !replica.HasFreeSlot(now, external) || !(acceptsAll || Accepts(request, replica, isLastResort)))
                continue;
            if (isLastResort && request.LastResortAt(replica) > now)
                continue;
            var rank = RankOf(replica, request, now);
            if (rank > best)
                continue;
            if (rank < best)
                (best, count) = (rank, 0);
            _candidates[count++] = new BalancingCandidate(replica, replica.LoadAt(now, external), replica.WarmthAt(now));
        }
        var mayTakeBest = best < EjectedRank || (request.Displaced && !CanServe(serving, request, isLastResort, evenIfEjected: false));
        return mayTakeBest ? count : 0;
    }

    /// <summary>Lower is better. Ordered by health (healthy, suspected, ejected), then by preference.</summary>
    private static int RankOf(Replica replica, AdmissionRequest request, TimeSpan now) =>
        (!replica.Breaker.Allows(now) ? EjectedRank : replica.IsSuspect ? SuspectedRank : 0) + (request.Prefers(replica) ? 0 : 1);
}
