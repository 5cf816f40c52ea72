using Skein.Routing.Health;

namespace Skein.Routing.Fleet;

/// <summary>
/// The run-time side of one generation of a replica: the slots this gateway leases on it, and the load that others put there. It outlives
/// changes of the description. Counters are written under the admission lock only; other readers (metrics) may see the previous value.
/// </summary>
public sealed class Replica
{
    private static readonly TimeSpan RefusalPause = TimeSpan.FromMilliseconds(50);

    /// <summary>Age at which a report of other gateways' load no longer counts.</summary>
    private static readonly TimeSpan ReportLifetime = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Longest time for which reports keep requests away. A replica that other gateways refill never looks free; it offers slots only to gateways that ask.
    /// </summary>
    private static readonly TimeSpan ReportedFullLimit = TimeSpan.FromSeconds(5);

    /// <summary>The same time after <see cref="AskSoon"/>.</summary>
    private static readonly TimeSpan UnknownHereLimit = TimeSpan.FromMilliseconds(250);

    private const uint MostSlots = 1_000_000;
    private const int UnknownKv = -1;

    /// <summary>Bound on what one report adds to the recent requests.</summary>
    private const uint MostBegunAtOnce = 10_000;

    private static readonly double PerReportTick = 1.0 / ReportLifetime.Ticks;

    private readonly LiveHealth _health;
    private volatile ReplicaDescription _description;

    // Copies of the description's, and parts that most replicas never use: a pick looks at every replica, and each object costs a cache miss.
    private double _weight;
    private double? _measuredWeight;
    private SpeedEstimate? _speed;
    private int _ownSlots;
    private bool _isDraining;
    private bool _isSuspect;
    private SlowStart? _slowStart;
    private Slowness? _slowness;
    private Slowness? _failing;

    private volatile bool _reachable = true;
    private int _leased;
    private int _reportedSlots;
    private int _reportedLoad;
    private EnginePressure _engine = new();
    private int _kvPermille = UnknownKv;
    private double _gossipedKv;
    private TimeSpan _reportedAt;
    private TimeSpan? _askAgainAt;
    private bool _isOffered;
    private bool _declined;
    private ulong _reportSequence;
    private ulong? _begunByOthers;
    private volatile bool _drainReported;
    private TimeSpan _closedUntil;

    public Replica(ReplicaDescription description, HealthOptions? health = null)
        : this(description, new LiveHealth(health ?? new HealthOptions()))
    {
    }

    internal Replica(ReplicaDescription description, LiveHealth health)
    {
        _health = health;
        _description = description;
        CopyDescription();
        Breaker = new CircuitBreaker(_health);
        PeakFirstToken = Pace.PeakFirstToken;
        NameHash = StableHash.Of(description.Id.Name);
    }

    public ReplicaId Id => _description.Id;

    /// <summary>The source's newest description.</summary>
    public ReplicaDescription Description
    {
        get => _description;
        internal set
        {
            // Only a change that the replica itself published overrides its own drain report: gossip may be older than the report.
            var before = _description;
            if (value.MetadataVersion != before.MetadataVersion || (value.Draining, value.HandOver) != (before.Draining, before.HandOver))
                _drainReported = false;
            if (value.Slots != before.Slots)
                Volatile.Write(ref _reportedSlots, 0);
            _description = value;
            CopyDescription();
        }
    }

    /// <summary>That in its description, unless admission weighs replicas by their measured speed.</summary>
    public double Weight => _weight;

    /// <summary>Replaces the weight in its description; null: that one counts.</summary>
    internal double? MeasuredWeight
    {
        get => _measuredWeight;
        set
        {
            _measuredWeight = value;
            _weight = value ?? _description.Weight;
        }
    }

    /// <summary>For weights by measured speed.</summary>
    internal SpeedEstimate Speed => _speed ??= new SpeedEstimate();

    /// <summary>Concurrency limit: from the replica's newest load report, else from its description. At least 1.</summary>
    public int Slots => Volatile.Read(ref _reportedSlots) is > 0 and var reported ? reported : _ownSlots;

    /// <summary>
    /// Use of the engine's KV cache, 0 to 1, by what came last: a report on a stream, or a change in gossip, which has eighths. Null: it never told any.
    /// </summary>
    public double? KvUsed => Volatile.Read(ref _kvPermille) is >= 0 and var permille ? permille / 1000d : null;

    /// <summary>Slots leased by this gateway.</summary>
    public int Leased => Volatile.Read(ref _leased);

    /// <summary>False from a broken connection until the replica answers again.</summary>
    public bool Reachable
    {
        get => _reachable;
        internal set => _reachable = value;
    }

    internal ReplicaPace Pace { get; } = new();

    /// <summary>That of <see cref="Pace"/>.</summary>
    internal PeakLatency PeakFirstToken { get; }

    /// <summary>The same for every gateway, and for every generation of the name.</summary>
    internal ulong NameHash { get; }

    /// <summary>Number of the gateway's last pick of this replica; 0 before the first.</summary>
    internal long LastTurn { get; set; }

    /// <summary>Requests that it was given within about a minute, by any gateway as far as known.</summary>
    internal RecentPicks Recent { get; } = new();

    /// <summary>Other gateways have sent it requests.</summary>
    internal bool HasOthers => _begunByOthers > 0;

    /// <summary>Whether it accepts no new work, according to its description or its own newest report.</summary>
    public bool Draining => _drainReported || _isDraining;

    /// <summary>Whether membership suspects it.</summary>
    internal bool IsSuspect => _isSuspect;

    internal CircuitBreaker Breaker { get; }

    internal SlowStart SlowStart => _slowStart ??= new SlowStart(_health);

    internal Slowness Slowness => _slowness ??= new Slowness(TimeSpan.FromSeconds(10));

    /// <summary>Load that counts for its recent failures.</summary>
    internal Slowness Failing => _failing ??= new Slowness(TimeSpan.FromSeconds(2));

    /// <summary>
    /// Number of times its connection broke. The attempts that a break ends together are one failure; those that began after the break can be the next.
    /// </summary>
    internal int Breaks { get; set; }

    /// <summary>Whether it was reachable when admission last looked; null before the first look.</summary>
    internal bool? WasReachable { get; set; }

    internal bool TakesWork => Reachable && !Draining;

    /// <summary>Slots that others use, decaying from the last report (Mitzenmacher, How Useful Is Old Information?, 2000).</summary>
    internal double ExternalLoad(TimeSpan now) => _reportedLoad == 0 ? 0 : _reportedLoad * Fading(now, _reportedAt, PerReportTick);

    /// <summary>Share of its weight that counts now.</summary>
    internal double WarmthAt(TimeSpan now) => _slowStart is null ? 1 : _slowStart.ShareAt(Slots, now);

    /// <summary>All that counts as load in a pick.</summary>
    /// <param name="external"><see cref="ExternalLoad"/> at the same time.</param>
    internal double LoadAt(TimeSpan now, double external)
    {
        var load = _leased + external + _engine.At(now);
        if (_slowness is not null)
            load += _slowness.At(now);
        // An open breaker lets trials through one by one: they must not wait for the failures to be forgotten.
        if (_failing is not null && !Breaker.IsEjected)
            load += _failing.At(now);
        return load;
    }

    internal bool HasFreeSlot(TimeSpan now) => HasFreeSlot(now, ExternalLoad(now));

    /// <param name="external"><see cref="ExternalLoad"/> at the same time.</param>
    internal bool HasFreeSlot(TimeSpan now, double external)
    {
        var slots = Slots;
        return _leased < slots
            && (_isOffered
                || (now >= _closedUntil && (_leased + (int)Math.Ceiling(external) < slots || now >= (_askAgainAt ?? TimeSpan.Zero))));
    }

    /// <summary>True when only the estimate of others' load keeps this gateway out. The estimate decays, so a slot may become free without an event.</summary>
    internal bool IsFullByEstimate(TimeSpan now) => _leased < Slots && !HasFreeSlot(now);

    /// <summary>The replica refused a request because it has no free slot: it gets none for a moment, whatever the estimate says.</summary>
    internal void Refused(TimeSpan now) => _closedUntil = now + RefusalPause;

    /// <summary>The replica keeps a slot for this gateway: the next reservation gets it, whatever the estimate says.</summary>
    internal void Offer() => _isOffered = true;

    /// <summary>Ends an offer; false when its slot was reserved. Otherwise the replica assumes that no requests wait here.</summary>
    internal bool TakeBackOffer(TimeSpan now)
    {
        if (!_isOffered)
            return false;
        _isOffered = false;
        _declined = true;
        AskSoon(now);
        return true;
    }

    /// <summary>Takes a slot. Returns the breaker's epoch, for the end of the attempt.</summary>
    internal int Reserve(TimeSpan now)
    {
        _leased++;
        Recent.Add(now);
        (_isOffered, _declined) = (false, false);
        _askAgainAt = now + ReportedFullLimit;
        return Breaker.Begin();
    }

    internal void Unreserve()
    {
        if (_leased <= 0)
            throw new InvalidOperationException($"lease count of {Id} would fall below 0");
        _leased--;
    }

    /// <summary>Applies a report of the replica on a stream, unless a newer one was applied.</summary>
    internal void Report(LoadReport report, TimeSpan now)
    {
        if (report.Sequence <= _reportSequence || report.Generation != Id.Generation)
            return;
        _reportSequence = report.Sequence;
        _drainReported = report.Draining;
        NoteOthers(report, now);
        // A hostile or broken replica must not make the arithmetic of a pick invalid.
        Volatile.Write(ref _reportedSlots, (int)Math.Min(report.Slots, MostSlots));
        (_reportedLoad, _reportedAt) = ((int)Math.Max(0L, (long)report.Running - report.RunningForCaller), now);
        _engine.Report(report, Slots, now);
        LearnKv((int)Math.Min(report.KvUsedPermille, 1000));
        // An offer can overtake an earlier refusal. The report with that refusal then still says that the replica remembers this gateway, although
        // the declined offer has ended that.
        if (_declined || report is { HasRemembersCaller: true, RemembersCaller: false })
            AskSoon(now);
        else
            _askAgainAt = now + ReportedFullLimit;
    }

    /// <summary>Requests that other gateways began since the last report. A first one tells a past of unknown length.</summary>
    private void NoteOthers(LoadReport report, TimeSpan now)
    {
        var others = report.Begun > report.BegunForCaller ? report.Begun - report.BegunForCaller : 0;
        if (_begunByOthers is { } before && others > before)
            Recent.Add(now, (int)Math.Min(others - before, MostBegunAtOnce));
        _begunByOthers = others;
    }

    /// <summary>
    /// Applies a beacon of the replica, unless something newer is known. A beacon does not say how much of the load is this gateway's: the
    /// current leases are subtracted. (Subtracting the leases at the time of the beacon made no difference in the simulation of <c>BusyFleet</c>.)
    /// </summary>
    internal void Report(int running, TimeSpan receivedAt)
    {
        if (receivedAt > _reportedAt)
            (_reportedLoad, _reportedAt) = (Math.Max(0, running - _leased), receivedAt);
    }

    /// <summary>The replica may not know that requests wait here: it offers nothing until it is asked.</summary>
    internal void AskSoon(TimeSpan now)
    {
        if (_askAgainAt is not { } then || then > now + UnknownHereLimit)
            _askAgainAt = now + UnknownHereLimit;
    }

    private static double Fading(TimeSpan now, TimeSpan since, double perTick) => Math.Max(0, 1 - (Math.Max(0, (now - since).Ticks) * perTick));

    private void CopyDescription()
    {
        (_weight, _ownSlots, _isDraining, _isSuspect) =
            (_measuredWeight ?? _description.Weight, _description.Slots, _description.Draining, _description.Suspect);
        _engine.Gossip(_description.KvUsed, Slots);
        if (_gossipedKv != _description.KvUsed)
            LearnKv((int)((_gossipedKv = _description.KvUsed) * 1000));
    }

    /// <summary>Zero also means unknown, until the engine has told more.</summary>
    private void LearnKv(int permille)
    {
        if (permille > 0 || _kvPermille > 0)
            Volatile.Write(ref _kvPermille, permille);
    }
}
