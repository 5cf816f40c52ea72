using Skein.Protocol;

namespace Skein.Membership;

/// <summary>
/// Timing and bounds of the protocol. Immutable. The profiles are <see cref="Lan"/>, <see cref="Fast"/> and <see cref="Wan"/>. All members of a
/// cluster should use the same values.
/// </summary>
public sealed record ProtocolOptions
{
    /// <summary>Time between two routine probes of one member. Default 1 s, range 20 ms to 1 min.</summary>
    public TimeSpan ProbePeriod { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Timeout of a direct probe, after which other members probe indirectly. Default 300 ms, range 5 ms to <see cref="ProbePeriod"/>.</summary>
    public TimeSpan DirectTimeout { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>Timeout of the indirect probes. Default 400 ms, range <see cref="DirectTimeout"/> to 1 min.</summary>
    public TimeSpan IndirectTimeout { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Number of members that probe a silent one indirectly. Default 3, range 0 to 16.</summary>
    public int IndirectProbes { get; init; } = 3;

    /// <summary>Silence after which a TCP connect checks whether the process runs. Default 100 ms, range 5 ms to <see cref="DirectTimeout"/>.</summary>
    public TimeSpan RefusalCheckAfter { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Every other routine probe goes to the next member on the ring of ids. Default true; false is plain SWIM.</summary>
    public bool RingProbes { get; init; } = true;

    /// <summary>Keeps an idle TCP connection to the next two members on the ring, which reveals a dead process at once. Default true.</summary>
    public bool MonitorConnections { get; init; } = true;

    /// <summary>Maximum number of concurrent probes of one member. Default 32, range 1 to 1024.</summary>
    public int ProbesInFlight { get; init; } = 32;

    /// <summary>Suspicion window with all confirmations: the longest tolerated pause. Default 2 s, range <see cref="DirectTimeout"/> to 10 min.</summary>
    public TimeSpan SuspicionMin { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Suspicion window with a single accuser, as a multiple of <see cref="SuspicionMin"/>. Default 6, range 1 to 20.</summary>
    public int SuspicionMaxFactor { get; init; } = 6;

    /// <summary>Further accusers that shrink the window to <see cref="SuspicionMin"/>. Default 3, range 0 to 3.</summary>
    public int Confirmations { get; init; } = 3;

    /// <summary>Targets of one gossip round. Default 3, range 1 to 16.</summary>
    public int GossipFanout { get; init; } = 3;

    /// <summary>
    /// Time between two rounds while updates are queued. Default 20 ms, range 1 ms to an eighth of <see cref="SuspicionMin"/>: a refutation takes
    /// several rounds in each direction and must arrive before the verdict.
    /// </summary>
    public TimeSpan GossipInterval { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Maximum number of gossip packets of one member per second, probes excluded. Default 300, range 10 to 100,000.</summary>
    public int GossipRate { get; init; } = 300;

    /// <summary>Each member transmits an update this many times ceil(log10(members + 1)). Default 4, range 1 to 20.</summary>
    public int RetransmitFactor { get; init; } = 4;

    /// <summary>Time between two pings of dead members, which heal partitions. Default 5 s, range 100 ms to 1 h.</summary>
    public TimeSpan DeadContactInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Returns without delay of a member that was isolated and declared dead. Further returns within <see cref="FlapMemory"/> are delayed. A new
    /// generation, and a member that heard others all the time, returns without delay. Default 1, range 0 to 100.
    /// </summary>
    public int FreeReturns { get; init; } = 1;

    /// <summary>
    /// Time that a flapping or partly isolated member must be in contact before it returns; doubles with each further return, up to
    /// <see cref="FlapMemory"/>. Default 30 s, range <see cref="ProbePeriod"/> to 1 h.
    /// </summary>
    public TimeSpan ReturnDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time without a death after which one return is forgotten. Default 10 min, range <see cref="ReturnDelay"/> to 24 h.</summary>
    public TimeSpan FlapMemory { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>First pause after a seed was not reached; doubles up to <see cref="SeedRetryMax"/>. Default 100 ms, range 10 ms to 1 min.</summary>
    public TimeSpan SeedRetryMin { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Longest pause between two requests to a seed. Default 10 s, range <see cref="SeedRetryMin"/> to 1 h.</summary>
    public TimeSpan SeedRetryMax { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Time without a reply after which a new member starts one more concurrent attempt, up to <see cref="SeedTries"/>. Default 250 ms, range
    /// 10 ms to 1 min; a value of at least <see cref="ExchangeTimeout"/> disables hedging.
    /// </summary>
    public TimeSpan SeedHedgeAfter { get; init; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Concurrent attempts at which a new member stops hedging. Default 4, range 1 (no hedging) to 16.</summary>
    public int SeedTries { get; init; } = 4;

    /// <summary>Timeout of a TCP exchange (join, full state). Default 2 s, range 50 ms to 1 min.</summary>
    public TimeSpan ExchangeTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Time that a new member waits for a reply of an older generation of its name. Default 500 ms, range 10 ms to 1 min.</summary>
    public TimeSpan NameCheckTimeout { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Time between two load beacons to one receiver. Default 100 ms, range 10 ms to 10 s.</summary>
    public TimeSpan BeaconInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Age at which a beacon expires. Default 1 s, range <see cref="BeaconInterval"/> to 1 min.</summary>
    public TimeSpan BeaconLifetime { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Time that tombstones of dead and left members are kept; each member purges them up to a tenth (1 min at most) later. Default 24 h, range
    /// <see cref="SuspicionMin"/> times <see cref="SuspicionMaxFactor"/>, so that all members learn of the death first, to 30 days.
    /// </summary>
    public TimeSpan TombstoneLifetime { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Maximum number of tombstones; the oldest are purged first. Default 10,000, range 16 to 100,000.</summary>
    public int MaxTombstones { get; init; } = 10_000;

    /// <summary>Maximum number of live members; further ones are not added. Default 10,000, range 2 to 100,000.</summary>
    public int MaxMembers { get; init; } = 10_000;

    private const int MinRoundsPerWindow = 8;

    /// <summary>The default, for one data centre.</summary>
    public static ProtocolOptions Lan { get; } = new();

    /// <summary>Detection below a second on a good network, at five times the idle traffic.</summary>
    public static ProtocolOptions Fast { get; } = new()
    {
        ProbePeriod = TimeSpan.FromMilliseconds(200),
        DirectTimeout = TimeSpan.FromMilliseconds(60),
        IndirectTimeout = TimeSpan.FromMilliseconds(80),
        RefusalCheckAfter = TimeSpan.FromMilliseconds(30),
        SuspicionMin = TimeSpan.FromMilliseconds(350),
        DeadContactInterval = TimeSpan.FromSeconds(2),
        SeedHedgeAfter = TimeSpan.FromMilliseconds(100),
        NameCheckTimeout = TimeSpan.FromMilliseconds(200),
    };

    /// <summary>For wide-area networks: round trips of up to half a second, and packet loss.</summary>
    public static ProtocolOptions Wan { get; } = new()
    {
        ProbePeriod = TimeSpan.FromSeconds(2),
        DirectTimeout = TimeSpan.FromSeconds(1),
        IndirectTimeout = TimeSpan.FromMilliseconds(1500),
        RefusalCheckAfter = TimeSpan.FromMilliseconds(700),
        SuspicionMin = TimeSpan.FromSeconds(5),
        GossipInterval = TimeSpan.FromMilliseconds(100),
        SeedHedgeAfter = TimeSpan.FromMilliseconds(1500),
        ExchangeTimeout = TimeSpan.FromSeconds(10),
        NameCheckTimeout = TimeSpan.FromSeconds(2),
    };

    /// <exception cref="ArgumentException">Names the option, its value and the allowed values.</exception>
    public void Validate()
    {
        OptionGuard.Range(ProbePeriod, TimeSpan.FromMilliseconds(20), TimeSpan.FromMinutes(1), nameof(ProbePeriod));
        OptionGuard.Range(DirectTimeout, TimeSpan.FromMilliseconds(5), ProbePeriod, nameof(DirectTimeout));
        OptionGuard.Range(IndirectTimeout, DirectTimeout, TimeSpan.FromMinutes(1), nameof(IndirectTimeout));
        OptionGuard.Range(IndirectProbes, 0, 16, nameof(IndirectProbes));
        OptionGuard.Range(RefusalCheckAfter, TimeSpan.FromMilliseconds(5), DirectTimeout, nameof(RefusalCheckAfter));
        OptionGuard.Range(ProbesInFlight, 1, 1024, nameof(ProbesInFlight));
        OptionGuard.Range(SuspicionMin, DirectTimeout, TimeSpan.FromMinutes(10), nameof(SuspicionMin));
        OptionGuard.Range(SuspicionMaxFactor, 1, 20, nameof(SuspicionMaxFactor));
        OptionGuard.Range(Confirmations, 0, 3, nameof(Confirmations));
        OptionGuard.Range(GossipFanout, 1, 16, nameof(GossipFanout));
        OptionGuard.Range(GossipInterval, TimeSpan.FromMilliseconds(1), SuspicionMin / MinRoundsPerWindow, nameof(GossipInterval));
        OptionGuard.Range(GossipRate, 10, 100_000, nameof(GossipRate));
        OptionGuard.Range(RetransmitFactor, 1, 20, nameof(RetransmitFactor));
        OptionGuard.Range(DeadContactInterval, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1), nameof(DeadContactInterval));
        OptionGuard.Range(FreeReturns, 0, 100, nameof(FreeReturns));
        OptionGuard.Range(ReturnDelay, ProbePeriod, TimeSpan.FromHours(1), nameof(ReturnDelay));
        OptionGuard.Range(FlapMemory, ReturnDelay, TimeSpan.FromHours(24), nameof(FlapMemory));
        OptionGuard.Range(SeedRetryMin, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(SeedRetryMin));
        OptionGuard.Range(SeedRetryMax, SeedRetryMin, TimeSpan.FromHours(1), nameof(SeedRetryMax));
        OptionGuard.Range(SeedHedgeAfter, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(SeedHedgeAfter));
        OptionGuard.Range(SeedTries, 1, 16, nameof(SeedTries));
        OptionGuard.Range(ExchangeTimeout, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(1), nameof(ExchangeTimeout));
        OptionGuard.Range(NameCheckTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(NameCheckTimeout));
        OptionGuard.Range(BeaconInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromSeconds(10), nameof(BeaconInterval));
        OptionGuard.Range(BeaconLifetime, BeaconInterval, TimeSpan.FromMinutes(1), nameof(BeaconLifetime));
        OptionGuard.Range(TombstoneLifetime, SuspicionMin * SuspicionMaxFactor, TimeSpan.FromDays(30), nameof(TombstoneLifetime));
        OptionGuard.Range(MaxTombstones, 16, 100_000, nameof(MaxTombstones));
        OptionGuard.Range(MaxMembers, 2, 100_000, nameof(MaxMembers));
    }
}
