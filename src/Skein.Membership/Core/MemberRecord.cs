using System.Text;
using Skein.Membership.Wire;

namespace Skein.Membership.Core;

/// <summary>What this member believes of one name: its newest life. Changed only by <see cref="MemberTable"/> and the judge.</summary>
internal sealed class MemberRecord
{
    public MemberRecord(ulong id, string name)
    {
        Id = id;
        Name = name;
        NameBytes = Encoding.ASCII.GetBytes(name);
        News = new UpdateNode(this);
        LoadNews = new UpdateNode(this);
    }

    public ulong Id { get; }

    public string Name { get; }

    public byte[] NameBytes { get; }

    public ulong Generation { get; set; }

    public uint Incarnation { get; set; }

    public MemberState State { get; set; }

    public PeerAddress Address { get; set; }

    public uint MetadataSequence { get; set; }

    public byte[] Metadata { get; set; } = [];

    public LoadUpdate Load { get; set; }

    /// <summary>When the load was learnt.</summary>
    public TimeSpan LoadAt { get; set; }

    /// <summary>Of the newest beacon of this life.</summary>
    public uint BeaconSequence { get; set; }

    /// <summary>Why it last died; of a death that was over when it was first heard of, silence is all that is known.</summary>
    public DeathCause Death { get; set; } = DeathCause.Silent;

    /// <summary>Present while the state is suspect.</summary>
    public Suspicion? Suspicion { get; set; }

    /// <summary>
    /// When the next timer for suspicions of this member fires. It outlives a suspicion, so that a member that is suspected again and again
    /// does not pile timers up.
    /// </summary>
    public TimeSpan SuspicionTimer { get; set; } = TimeSpan.MaxValue;

    /// <summary>Who made the case, while suspect or dead.</summary>
    public AccuserSet Accusers { get; set; }

    /// <summary>Of these, who was refused a connection.</summary>
    public AccuserSet Refused { get; set; }

    public TimeSpan StateSince { get; set; }

    /// <summary>When this life was last found silent by this member itself; null if never.</summary>
    public TimeSpan? FoundSilentAt { get; set; }

    /// <summary>When a correction was last sent to this member; keeps replies to the dead and the stale rare.</summary>
    public TimeSpan? CorrectedAt { get; set; }

    public UpdateNode News { get; }

    public UpdateNode LoadNews { get; }

    /// <summary>Position in the table's list of live or of gone members.</summary>
    public int Slot { get; set; }

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
            update.Name = NameBytes;
            update.Address = Address;
        }
        if (parts.HasFlag(UpdateParts.Metadata))
        {
            update.MetadataSequence = MetadataSequence;
            update.Metadata = Metadata;
        }
        return update;
    }
}
