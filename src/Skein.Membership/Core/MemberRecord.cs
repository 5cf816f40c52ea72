using System.Text;
using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>What one generation of a member says about itself. Immutable, so that all views in a simulation can share it.</summary>
internal sealed record MemberFacts(string Name, ulong Generation, PeerAddress Address)
{
    public ulong Id { get; } = MemberName.IdOf(Name);

    public byte[] NameBytes { get; } = Encoding.ASCII.GetBytes(Name);

    public uint MetadataSequence { get; init; }

    public byte[] Metadata { get; init; } = [];

    /// <summary>Reads an update that introduces its member; null if the name does not belong to the id.</summary>
    public static MemberFacts? Read(in MemberUpdate update)
    {
        var facts = new MemberFacts(Encoding.ASCII.GetString(update.Name), update.Generation, update.Address)
        {
            MetadataSequence = update.MetadataSequence,
            Metadata = update.Metadata.ToArray(),
        };
        return facts.Id == update.Id ? facts : null;
    }
}

/// <summary>Creates facts from an update, as <see cref="MemberFacts.Read"/> does.</summary>
internal delegate MemberFacts? FactsReader(in MemberUpdate update);

/// <summary>
/// This member's belief about one name: its newest generation. Only <see cref="MemberTable"/> and <see cref="SuspicionManager"/> change it.
/// A simulation of 10,000 members has 100 million records, so state that few members have is allocated on first use.
/// </summary>
internal sealed class MemberRecord(MemberFacts facts)
{
    private Details? _details;
    private UpdateNode? _update;

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
        get => _details?.Load ?? default;
        set => Allocated.Load = value;
    }

    public uint BeaconSequence
    {
        get => _details?.BeaconSequence ?? 0;
        set => Allocated.BeaconSequence = value;
    }

    /// <summary>Cause of the last death. <see cref="DeathCause.Silent"/> if this member learned of the death later.</summary>
    public DeathCause Death
    {
        get => _details?.Death ?? DeathCause.Silent;
        set => Allocated.Death = value;
    }

    public Suspicion? Suspicion
    {
        get => _details?.Suspicion;
        set => Allocated.Suspicion = value;
    }

    /// <summary>When the next suspicion timer of this member fires. Survives the suspicion, so that repeated suspicions do not accumulate timers.</summary>
    public TimeSpan SuspicionTimer
    {
        get => _details?.SuspicionTimer ?? TimeSpan.MaxValue;
        set => Allocated.SuspicionTimer = value;
    }

    /// <summary>Members that found this one silent; set while suspect or dead.</summary>
    public AccuserSet Accusers
    {
        get => _details?.Accusers ?? default;
        set => Allocated.Accusers = value;
    }

    /// <summary>The accusers whose connection was refused.</summary>
    public AccuserSet Refused
    {
        get => _details?.Refused ?? default;
        set => Allocated.Refused = value;
    }

    /// <summary>When the state last changed; zero for members that were live from the start.</summary>
    public TimeSpan StateSince
    {
        get => _details?.StateSince ?? default;
        set => Allocated.StateSince = value;
    }

    /// <summary>When this member itself last found this generation silent; null if never.</summary>
    public TimeSpan? FoundSilentAt
    {
        get => _details?.FoundSilentAt;
        set
        {
            // Every received packet clears it: that must not allocate.
            if (value is not null || _details is not null)
                Allocated.FoundSilentAt = value;
        }
    }

    /// <summary>When a correction was last sent to this member; limits replies to dead and stale senders.</summary>
    public TimeSpan? CorrectedAt
    {
        get => _details?.CorrectedAt;
        set => Allocated.CorrectedAt = value;
    }

    public UpdateNode Update => _update ??= new UpdateNode(this);

    public UpdateNode LoadReport => Allocated.LoadReport ??= new UpdateNode(this);

    public bool IsLive => State is MemberState.Alive or MemberState.Suspect;

    /// <summary>This record's contribution to the digest of a view: 0 unless live.</summary>
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

    private Details Allocated => _details ??= new Details();

    public MemberUpdate ToUpdate(UpdateParts parts)
    {
        var update = new MemberUpdate { Id = Id, Generation = Generation, Incarnation = Incarnation };
        if ((parts & (UpdateParts.State | UpdateParts.Introduction)) != UpdateParts.None)
            (update.State, update.Accusers, update.Refused) = (State, Accusers, Refused);
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

    private sealed class Details
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
        public UpdateNode? LoadReport;
    }
}
