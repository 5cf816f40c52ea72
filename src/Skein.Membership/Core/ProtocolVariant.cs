namespace Skein.Membership.Core;

/// <summary>
/// Which parts of the protocol are in force. Production runs with all; the others exist so that the simulator can run the plain protocols of
/// the literature on this very core, and show what each part is worth.
/// </summary>
internal sealed record ProtocolVariant
{
    /// <summary>All that this implementation has.</summary>
    public static ProtocolVariant Full { get; } = new();

    /// <summary>SWIM with suspicion as in its paper, gossiping and blocking as memberlist does.</summary>
    public static ProtocolVariant Swim { get; } = new()
    {
        LocalHealth = false, Buddy = false, Caution = false, EventGossip = false, AntiEntropy = false, StreamProbes = false, EarlyVerdicts = false,
        BlockingSends = true,
    };

    /// <summary>SWIM plus the three parts of Lifeguard.</summary>
    public static ProtocolVariant Lifeguard { get; } = Swim with { LocalHealth = true, Buddy = true };

    /// <summary>Local health scales time-outs, and helpers send nacks (Lifeguard: LHA-Probe).</summary>
    public bool LocalHealth { get; init; } = true;

    /// <summary>Pings tell a suspect that it is one (Lifeguard: Buddy).</summary>
    public bool Buddy { get; init; } = true;

    /// <summary>Two accusers, own verification, windows that grow with the crowd, silence of those who hear nobody.</summary>
    public bool Caution { get; init; } = true;

    /// <summary>News is forwarded at once; otherwise in rounds, each gossip interval, which also go to the lately dead.</summary>
    public bool EventGossip { get; init; } = true;

    /// <summary>Packets of their own for news; otherwise it only rides on pings and acks.</summary>
    public bool GossipPackets { get; init; } = true;

    /// <summary>Views are compared by digest; otherwise full state is exchanged with a random member every 30 s.</summary>
    public bool AntiEntropy { get; init; } = true;

    /// <summary>Silent members are asked over TCP too.</summary>
    public bool StreamProbes { get; init; } = true;

    /// <summary>A probe is decided when its indirect round ends; otherwise at the end of the period.</summary>
    public bool EarlyVerdicts { get; init; } = true;

    /// <summary>
    /// One probe at a time, and whoever sends waits until the packet is gone, as memberlist's goroutines do: while sends block, of all timers
    /// only those of suspicions go on, and a probe that began meanwhile has run out of time when its ping leaves.
    /// </summary>
    public bool BlockingSends { get; init; }

    /// <summary>A member found silent is suspect first; otherwise it is dead at once.</summary>
    public bool Suspicion { get; init; } = true;

    /// <summary>Each target is drawn at random, as in SWIM's analysis; otherwise rounds are shuffled.</summary>
    public bool RandomTargets { get; init; }

    /// <summary>All members begin their periods at the same moments, as in SWIM's analysis.</summary>
    public bool CommonPeriods { get; init; }
}
