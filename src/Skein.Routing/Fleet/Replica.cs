using Skein.Protocol.V1;
using Skein.Routing.Health;

namespace Skein.Routing.Fleet;

/// <summary>
/// The run-time side of one life of a replica: what is leased on it here, and what is known of the load others put there. It outlives
/// changes of the description. Counters are written under the admission lock only; reads from elsewhere (metrics) may be one step old.
/// </summary>
public sealed class Replica
{
    private static readonly TimeSpan RefusalPause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// How long beacons alone keep requests away from a full replica. After it one asks, full or not: a replica that others refill at once
    /// never looks free from outside, and it can only be fair to those who ask.
    /// </summary>
    private static readonly TimeSpan HearsayLimit = TimeSpan.FromSeconds(5);

    /// <summary>The same of a replica that does not know that anybody waits here: until it was asked it offers nothing.</summary>
    private static readonly TimeSpan UnknownLimit = TimeSpan.FromMilliseconds(250);

    private volatile ReplicaDescription _description;
    private volatile bool _reachable = true;
    private int _leased;
    private ExternalLoad _others;
    private Slowness _slowness;
    private TimeSpan? _askAgainAt;
    private bool _isOffered;
    private bool _declined;
    private ulong _reportSequence;
    private volatile bool _drainReported;
    private TimeSpan _closedUntil;
    private long _ejections;

    /// <summary>Creates the run-time side of a replica that was just seen.</summary>
    public Replica(ReplicaDescription description, HealthOptions? health = null)
    {
        _description = description;
        Breaker = new CircuitBreaker((health ??= new HealthOptions()).Breaker);
        SlowStart = new SlowStart(health.SlowStart);
    }

    /// <summary>Name and life.</summary>
    public ReplicaId Id => _description.Id;

    /// <summary>What the source says of it now.</summary>
    public ReplicaDescription Description
    {
        get => _description;
        internal set
        {
            // Whoever changed it knows more of the drain than a report that no request will ever renew.
            _drainReported = false;
            _description = value;
        }
    }

    /// <summary>Slots leased by this gateway.</summary>
    public int Leased => Volatile.Read(ref _leased);

    /// <summary>False from a broken connection until it answers again.</summary>
    public bool Reachable
    {
        get => _reachable;
        internal set => _reachable = value;
    }

    /// <summary>How fast it lately was.</summary>
    internal ReplicaPace Pace { get; } = new();

    /// <summary>Takes no new work, by its description or its own newest report.</summary>
    public bool Draining => _drainReported || _description.Draining;

    /// <summary>How often its breaker was opened.</summary>
    public long Ejections => Interlocked.Read(ref _ejections);

    /// <summary>What its outcomes say.</summary>
    internal CircuitBreaker Breaker { get; }

    /// <summary>Its ramp after it came, or came back.</summary>
    internal SlowStart SlowStart { get; }

    /// <summary>Whether it was reachable when admission last looked; null before the first look.</summary>
    internal bool? WasReachable { get; set; }

    /// <summary>Can be talked to, and takes new work.</summary>
    internal bool TakesWork => Reachable && !Draining;

    /// <summary>Slots in use by others, as far as known.</summary>
    /// <param name="now">Time since the admission queue was made.</param>
    internal double ExternalLoad(TimeSpan now) => _others.At(now);

    /// <summary>True when a slot is free as far as this gateway can know.</summary>
    internal bool HasFreeSlot(TimeSpan now) =>
        _leased < _description.Slots
        && (_isOffered
            || (now >= _closedUntil && (_leased + (int)Math.Ceiling(ExternalLoad(now)) < _description.Slots || now >= (_askAgainAt ?? TimeSpan.Zero))));

    /// <summary>True when only what others are thought to hold keeps this gateway out: that estimate fades, so ask again soon.</summary>
    internal bool IsFullByEstimate(TimeSpan now) => _leased < _description.Slots && !HasFreeSlot(now);

    /// <summary>Takes in that the replica refused for lack of a slot: it is not asked again at once, whatever the estimate says.</summary>
    internal void Refused(TimeSpan now) => _closedUntil = now + RefusalPause;

    /// <summary>Takes in that it keeps a slot for this gateway, which whoever reserves next gets, whatever the estimate says.</summary>
    internal void Offer() => _isOffered = true;

    /// <summary>Ends an offer. If nobody has taken it, the replica takes this gateway for one without a line.</summary>
    /// <param name="now">Time since the admission queue was made.</param>
    /// <returns>False when somebody has reserved the slot.</returns>
    internal bool TakeBackOffer(TimeSpan now)
    {
        if (!_isOffered)
            return false;
        _isOffered = false;
        _declined = true;
        AskSoon(now);
        return true;
    }

    /// <summary>Takes in that whoever reserved a slot may have gone without asking for it: the replica knows nothing of a line here, and of no use for its offer.</summary>
    internal void MayNotBeAsked(TimeSpan now) => AskSoon(now);

    /// <summary>Load it is charged with for having been far too slow.</summary>
    internal double SlownessAt(TimeSpan now) => _slowness.At(now);

    /// <summary>Takes in that another replica was far faster.</summary>
    internal void WasTooSlow(TimeSpan now) => _slowness.Add(now);

    internal void Ejected() => Interlocked.Increment(ref _ejections);

    /// <summary>Takes a slot.</summary>
    /// <returns>The breaker's epoch, for the end of the attempt.</returns>
    internal int Reserve(TimeSpan now)
    {
        _leased++;
        (_isOffered, _declined) = (false, false);
        _askAgainAt = now + HearsayLimit;
        return Breaker.Begin();
    }

    internal void Unreserve()
    {
        if (_leased <= 0)
            throw new InvalidOperationException($"lease count of {Id} would fall below 0");
        _leased--;
    }

    /// <summary>Takes in a report unless a newer one was seen.</summary>
    internal void Report(LoadReport report, TimeSpan now)
    {
        if (report.Sequence <= _reportSequence || report.Generation != Id.Generation)
            return;
        _reportSequence = report.Sequence;
        _drainReported = report.Draining;
        _others = new ExternalLoad((int)Math.Max(0L, (long)report.Running - report.RunningForCaller), now);
        // What was made before an offer was declined still says that this gateway is remembered: a refusal may be overtaken by the offer that follows it.
        if (_declined || report is { HasRemembersCaller: true, RemembersCaller: false })
            AskSoon(now);
        else
            _askAgainAt = now + HearsayLimit;
    }

    /// <summary>
    /// Takes in what the replica told everybody, unless something newer is known. It does not say what is ours of it: what is leased now
    /// is taken off. (To look up what was leased when it was told made no difference in the simulation of <c>BusyFleet</c>.)
    /// </summary>
    internal void Report(int running, TimeSpan receivedAt)
    {
        if (receivedAt > _others.ReportedAt)
            _others = new ExternalLoad(Math.Max(0, running - _leased), receivedAt);
    }

    private void AskSoon(TimeSpan now)
    {
        if (_askAgainAt is not { } then || then > now + UnknownLimit)
            _askAgainAt = now + UnknownLimit;
    }
}
