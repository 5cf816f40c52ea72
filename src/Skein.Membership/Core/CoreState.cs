namespace Skein.Membership.Core;

internal enum CorePhase
{
    /// <summary>Asks the seeds for the group and checks whether its name is free. Announces nothing.</summary>
    Observing,
    Active,
    Leaving,

    /// <summary>Left, superseded or refused. Sends nothing.</summary>
    Ended,
}

/// <summary>State shared by the components of one core. Not thread-safe: the core has one writer.</summary>
internal sealed class CoreState(CoreSettings settings, MemberTable table, ulong seed, ICoreEffects effects)
{
    public ProtocolOptions Options { get; } = settings.Options;

    public ProtocolRules Rules { get; } = settings.Rules;

    public FactsReader ReadFacts { get; } = settings.ReadFacts;

    public MemberTable Table { get; } = table;

    public MemberRecord Self => Table.Self;

    public SeededRandom Random { get; } = new(seed);

    public TimerQueue Timers { get; } = new();

    public UpdateQueue Updates { get; } = new();

    public UpdateQueue LoadUpdates { get; } = new();

    public LocalHealth Health { get; } = new(maxScore: settings.Rules.LocalHealth ? 8 : 0, settings.Options.DirectTimeout);

    public ICoreEffects Effects { get; } = effects;

    public CorePhase Phase { get; set; } = CorePhase.Observing;

    public TimeSpan Now { get; set; }

    public TimeSpan HeardAt { get; set; }

    /// <summary>Silence of all others after which this member was isolated. Even the smallest group sends packets more often.</summary>
    public TimeSpan IsolationThreshold => Options.SuspicionMin * 2;

    public TimeSpan? IsolatedUntil { get; set; }

    /// <summary>An isolation ended so recently that refutations may still be on their way.</summary>
    public bool WasRecentlyIsolated => Now - IsolatedUntil < IsolationThreshold;

    /// <summary>No packet arrived for longer than is normal in the smallest group.</summary>
    public bool HearsNobody => Now - HeardAt > Options.ProbePeriod * 2;

    /// <summary>When the digest last changed. A difference matters only after gossip had time to arrive.</summary>
    public TimeSpan DigestSince { get; set; }

    /// <summary>This member accuses no other member before this time, because its process was paused.</summary>
    public TimeSpan ListenUntil { get; set; }

    /// <summary>Transmissions of one update: proportional to the logarithm of the group size, as epidemic dissemination requires.</summary>
    public int Retransmissions => Options.RetransmitFactor * (int)Math.Ceiling(Math.Log10(Table.LiveCount + 1));

    /// <summary>Accusers required for a death: two, or one if no other healthy member exists.</summary>
    public int AccusersNeeded(MemberRecord about)
    {
        if (!Rules.Corroboration)
            return 1;
        var others = Table.Live.Count - Table.Suspects + (about.State == MemberState.Suspect ? 1 : 0) - (about.IsLive ? 1 : 0);
        return others >= 1 ? 2 : 1;
    }
}

/// <summary>
/// Lifeguard's local health multiplier (DSN 2018, section IV-A): 0 is healthy, 8 is worst. It scales this member's timeouts, so that a slow
/// member waits longer before it accuses others. Besides failed probes, missing nacks and own refutations it counts late timers, thread pool
/// delays and garbage collector pauses.
/// </summary>
internal sealed class LocalHealth(int maxScore, TimeSpan directTimeout)
{
    private int _fromProbes;
    private int _fromDelays;
    private TimeSpan _delayedAt;
    private const int MaxFromDelays = 4;

    private static readonly TimeSpan DelayLifetime = TimeSpan.FromSeconds(3);

    public int Score => Math.Min(maxScore, _fromProbes + _fromDelays);

    public void Worsen(int by) => _fromProbes = Math.Min(maxScore, _fromProbes + by);

    public void Improve() => _fromProbes = Math.Max(0, _fromProbes - 1);

    /// <summary>Records a delay in this process: one point for each half of the direct probe timeout.</summary>
    public void RecordDelay(TimeSpan delay, TimeSpan now)
    {
        var points = (int)Math.Min(MaxFromDelays, delay.Ticks * 2 / directTimeout.Ticks);
        if (points < _fromDelays && now - _delayedAt < DelayLifetime)
            return;
        (_fromDelays, _delayedAt) = (points, now);
    }

    public TimeSpan Scale(TimeSpan time) => time * (Score + 1);
}

/// <summary>Kinds of timers. The key of a timer identifies its subject.</summary>
internal enum TimerKind
{
    Probe,
    ProbeRefusalCheck,
    ProbeRefusalEnd,
    ProbeDirectEnd,
    ProbeIndirectEnd,
    IndirectProbeEnd,
    Suspicion,
    Gossip,
    Seed,
    SeedHedge,
    NameCheckEnd,
    DeadContact,
    Load,
    Monitor,
    Beacon,
    FlapDamper,
    Housekeeping,
    LeaveEnd,
    Rules,
}

/// <summary>Pending timers. Timers are never cancelled: the handler checks whether the timer still matters. Equal times fire in the order of setting.</summary>
internal sealed class TimerQueue
{
    private readonly PriorityQueue<(TimerKind Kind, ulong Key), (TimeSpan Due, ulong Order)> _queue = new();
    private ulong _order;

    public int Count => _queue.Count;

    /// <summary>When the next timer is due; <see cref="TimeSpan.MaxValue"/> if there is none.</summary>
    public TimeSpan NextDue => _queue.TryPeek(out _, out var priority) ? priority.Due : TimeSpan.MaxValue;

    public void Set(TimeSpan due, TimerKind kind, ulong key = 0) => _queue.Enqueue((kind, key), (due, _order++));

    public bool TryTake(TimeSpan now, out TimerKind kind, out ulong key)
    {
        (kind, key) = (default, default);
        if (NextDue > now)
            return false;
        (kind, key) = _queue.Dequeue();
        return true;
    }
}

/// <summary>SplitMix64 (Steele, Lea, Flood, 2014): fast, and the same sequence on every runtime, which replay by seed requires.</summary>
internal sealed class SeededRandom(ulong seed)
{
    private ulong _state = seed;

    public ulong NextUInt64() => Mix(_state += 0x9E37_79B9_7F4A_7C15);

    /// <summary>Uniform in 0 .. bound - 1.</summary>
    public int Next(int bound) => (int)(((NextUInt64() >> 32) * (ulong)bound) >> 32);

    /// <summary>Uniform in [0, span).</summary>
    public TimeSpan Next(TimeSpan span) => TimeSpan.FromTicks((long)Math.BigMul(NextUInt64(), (ulong)span.Ticks, out _));

    public bool Chance(int permille) => Next(1000) < permille;

    /// <summary>Bijective 64-bit mixer: every output bit depends on every input bit.</summary>
    public static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9;
        z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB;
        return z ^ (z >> 31);
    }
}
