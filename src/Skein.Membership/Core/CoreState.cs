namespace Skein.Membership.Core;

/// <summary>Where this member is in its life.</summary>
internal enum CorePhase
{
    /// <summary>Asks the seeds who is there, and whether its name is free; claims nothing.</summary>
    Observing,
    Active,
    Leaving,

    /// <summary>Left, superseded or refused: says nothing any more.</summary>
    Over,
}

/// <summary>What the parts of one core share. One writer: nothing in here is safe for concurrent use.</summary>
internal sealed class CoreState(CoreSettings settings, MemberTable table, ulong seed, ICoreEffects effects)
{
    public ProtocolOptions Options { get; } = settings.Options;

    public ProtocolVariant Variant { get; } = settings.Variant;

    public FactsReader ReadFacts { get; } = settings.ReadFacts;

    public MemberTable Table { get; } = table;

    public MemberRecord Self => Table.Self;

    public SeededRandom Random { get; } = new(seed);

    public TimerQueue Timers { get; } = new();

    public UpdateQueue News { get; } = new();

    public UpdateQueue LoadNews { get; } = new();

    public LocalHealth Health { get; } = new(most: settings.Variant.LocalHealth ? 8 : 0, patience: settings.Options.DirectTimeout);

    public ICoreEffects Effects { get; } = effects;

    public CorePhase Phase { get; set; } = CorePhase.Observing;

    /// <summary>Time of the input that is being handled.</summary>
    public TimeSpan Now { get; set; }

    /// <summary>When any other member was last heard.</summary>
    public TimeSpan HeardAt { get; set; }

    /// <summary>Who hears nobody for so long was cut off alone; even a few members left together hear each other more often.</summary>
    public TimeSpan Deafness => Options.SuspicionMin * 2;

    /// <summary>When this member last heard somebody again after such a time.</summary>
    public TimeSpan? DeafUntil { get; set; }

    /// <summary>Whether that is so short a time ago that it may not have heard everything yet.</summary>
    public bool WasDeaf => Now - DeafUntil < Deafness;

    /// <summary>Nobody was heard for longer than is usual, in the smallest group too.</summary>
    public bool HearsNobody => Now - HeardAt > Options.ProbePeriod * 2;

    /// <summary>Since when the digest is what it is: a difference matters only once rumours had time to arrive.</summary>
    public TimeSpan DigestSince { get; set; }

    /// <summary>Sends block until then; for <see cref="ProtocolVariant.BlockingSends"/>, never set in production.</summary>
    public TimeSpan SendsFrom { get; set; }

    /// <summary>Until then this member accuses nobody: it stood still, and listens first.</summary>
    public TimeSpan ListenUntil { get; set; }

    /// <summary>How many times a rumour is sent: grows with the logarithm of the group, as an epidemic needs.</summary>
    public int Retransmissions => Options.RetransmitFactor * (int)Math.Ceiling(Math.Log10(Table.LiveCount + 1));

    /// <summary>Accusers that a death needs: two, or all other live members where there are fewer.</summary>
    public int AccusersNeeded(MemberRecord about)
    {
        if (!Variant.Caution)
            return 1;
        var others = Table.Live.Count - Table.Suspects + (about.State == MemberState.Suspect ? 1 : 0) - (about.IsLive ? 1 : 0);
        return others >= 1 ? 2 : 1;
    }
}
