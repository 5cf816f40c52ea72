using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// What this member believes of one name: its newest life. Changed only by <see cref="MemberTable"/> and the judge. A simulation of 10,000
/// members has a hundred million of these: what is true of few members at a time is kept apart, and made when it is needed.
/// </summary>
internal sealed class MemberRecord(MemberFacts facts)
{
    private Notes? _notes;
    private UpdateNode? _news;

    /// <summary>What the member says of itself.</summary>
    public MemberFacts Facts { get; set; } = facts;

    public ulong Id => Facts.Id;

    public string Name => Facts.Name;

    public ulong Generation => Facts.Generation;

    public PeerAddress Address => Facts.Address;

    public uint MetadataSequence => Facts.MetadataSequence;

    public byte[] Metadata => Facts.Metadata;

    public uint Incarnation { get; set; }

    public MemberState State { get; set; }

    public LoadUpdate Load
    {
        get => _notes?.Load ?? default;
        set => Noted.Load = value;
    }

    /// <summary>Of the newest beacon of this life.</summary>
    public uint BeaconSequence
    {
        get => _notes?.BeaconSequence ?? 0;
        set => Noted.BeaconSequence = value;
    }

    /// <summary>Why it last died; of a death that was over when it was first heard of, silence is all that is known.</summary>
    public DeathCause Death
    {
        get => _notes?.Death ?? DeathCause.Silent;
        set => Noted.Death = value;
    }

    /// <summary>Present while the state is suspect.</summary>
    public Suspicion? Suspicion
    {
        get => _notes?.Suspicion;
        set => Noted.Suspicion = value;
    }

    /// <summary>
    /// When the next timer for suspicions of this member fires. It outlives a suspicion, so that a member that is suspected again and again
    /// does not pile timers up.
    /// </summary>
    public TimeSpan SuspicionTimer
    {
        get => _notes?.SuspicionTimer ?? TimeSpan.MaxValue;
        set => Noted.SuspicionTimer = value;
    }

    /// <summary>Who made the case, while suspect or dead.</summary>
    public AccuserSet Accusers
    {
        get => _notes?.Accusers ?? default;
        set => Noted.Accusers = value;
    }

    /// <summary>Of these, who was refused a connection.</summary>
    public AccuserSet Refused
    {
        get => _notes?.Refused ?? default;
        set => Noted.Refused = value;
    }

    /// <summary>When the state last changed; not kept of members that were live from the first.</summary>
    public TimeSpan StateSince
    {
        get => _notes?.StateSince ?? default;
        set => Noted.StateSince = value;
    }

    /// <summary>When this life was last found silent by this member itself; null if never.</summary>
    public TimeSpan? FoundSilentAt
    {
        get => _notes?.FoundSilentAt;
        set
        {
            // Every packet takes it back; hardly ever is there anything to take back.
            if (value is not null || _notes is not null)
                Noted.FoundSilentAt = value;
        }
    }

    /// <summary>When a correction was last sent to this member; keeps replies to the dead and the stale rare.</summary>
    public TimeSpan? CorrectedAt
    {
        get => _notes?.CorrectedAt;
        set => Noted.CorrectedAt = value;
    }

    public UpdateNode News => _news ??= new UpdateNode(this);

    public UpdateNode LoadNews => Noted.LoadNews ??= new UpdateNode(this);

    public bool IsLive => State is MemberState.Alive or MemberState.Suspect;

    /// <summary>What this record adds to the digest of a view: 0 unless live.</summary>
    public ulong DigestPart => IsLive
        ? SeededRandom.Mix(SeededRandom.Mix(SeededRandom.Mix(Id ^ Generation) ^ Incarnation) + MetadataSequence)
        : 0;

    public MemberVersion Version => new()
    {
        Id = Id,
        Generation = Generation,
        Incarnation = Incarnation,
        State = State,
        MetadataSequence = MetadataSequence,
    };

    private Notes Noted => _notes ??= new Notes();

    public MemberUpdate ToUpdate(UpdateParts parts)
    {
        var update = new MemberUpdate { Id = Id, Generation = Generation, Incarnation = Incarnation };
        if ((parts & (UpdateParts.State | UpdateParts.Introduction)) != UpdateParts.None)
        {
            update.State = State;
            update.Accusers = Accusers;
            update.Refused = Refused;
        }
        if (parts.HasFlag(UpdateParts.Introduction))
        {
            update.Name = Facts.NameBytes;
            update.Address = Address;
        }
        if (parts.HasFlag(UpdateParts.Metadata))
        {
            update.MetadataSequence = MetadataSequence;
            update.Metadata = Metadata;
        }
        return update;
    }

    /// <summary>What there is to say only of members that are, or were, in trouble, and of those that tell their load.</summary>
    private sealed class Notes
    {
        public LoadUpdate Load;
        public uint BeaconSequence;
        public DeathCause Death = DeathCause.Silent;
        public Suspicion? Suspicion;
        public TimeSpan SuspicionTimer = TimeSpan.MaxValue;
        public AccuserSet Accusers;
        public AccuserSet Refused;
        public TimeSpan StateSince;
        public TimeSpan? FoundSilentAt;
        public TimeSpan? CorrectedAt;
        public UpdateNode? LoadNews;
    }
}
