using System.Runtime.CompilerServices;
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

internal delegate MemberFacts? FactsReader(in MemberUpdate update);

/// <summary>
/// This member's belief about one name: its newest generation. Only <see cref="MemberTable"/> and <see cref="SuspicionManager"/> change it.
/// A simulation of 10,000 members has 100 million records, so state that few members have is allocated on first use.
/// </summary>
internal sealed class MemberRecord(MemberFacts facts)
{
    private StrongBox<MemberDetails>? _details;
    private UpdateNode? _update;

    private static readonly StrongBox<MemberDetails> NoDetails = new(new() { Death = DeathCause.Silent, SuspicionTimer = TimeSpan.MaxValue });

    public MemberFacts Facts { get; set; } = facts;

    public ulong Id => Facts.Id;

    public string Name => Facts.Name;

    public ulong Generation => Facts.Generation;

    public PeerAddress Address => Facts.Address;

    public uint MetadataSequence => Facts.MetadataSequence;

    public byte[] Metadata => Facts.Metadata;

    public uint Incarnation { get; set; }

    public MemberState State { get; set; }

    public ref readonly MemberDetails Details => ref (_details ?? NoDetails).Value;

    public ref MemberDetails EditDetails => ref (_details ??= new(NoDetails.Value)).Value;

    public UpdateNode Update => _update ??= new UpdateNode(this);

    public UpdateNode LoadReport => EditDetails.LoadReport ??= new UpdateNode(this);

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

    /// <summary>Called for every received packet: must not allocate.</summary>
    public void ClearFoundSilent() => _details?.Value.FoundSilentAt = null;

    /// <summary>A new generation starts without the history of the previous one.</summary>
    public void ForgetHistory() => EditDetails = NoDetails.Value with
    {
        SuspicionTimer = Details.SuspicionTimer, CorrectedAt = Details.CorrectedAt, LoadReport = Details.LoadReport,
    };

    public MemberUpdate ToUpdate(UpdateParts parts)
    {
        var update = new MemberUpdate { Id = Id, Generation = Generation, Incarnation = Incarnation };
        if ((parts & (UpdateParts.State | UpdateParts.Introduction)) != UpdateParts.None)
            (update.State, update.Accusers, update.Refused) = (State, Details.Accusers, Details.Refused);
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
}

/// <summary>State that few members have: a record has the values of <c>NoDetails</c> until the first change.</summary>
internal struct MemberDetails
{
    public LoadUpdate Load;
    public uint BeaconSequence;

    /// <summary>Cause of the last death. <see cref="DeathCause.Silent"/> if this member learned of the death later.</summary>
    public DeathCause Death;
    public Suspicion? Suspicion;

    /// <summary>When the next suspicion timer fires. Survives the suspicion, so that repeated suspicions do not accumulate timers.</summary>
    public TimeSpan SuspicionTimer;

    /// <summary>Members that found this one silent; set while suspect or dead.</summary>
    public AccuserSet Accusers;

    /// <summary>The accusers whose connection was refused.</summary>
    public AccuserSet Refused;

    /// <summary>When the state last changed; zero for members that were live from the start.</summary>
    public TimeSpan StateSince;

    /// <summary>When this member itself last found this generation silent; null if never.</summary>
    public TimeSpan? FoundSilentAt;

    /// <summary>This generation lived although its host had refused a connection: refusals say nothing about it.</summary>
    public bool IsRefusedAlive;

    /// <summary>When a correction was last sent to this member; limits replies to dead and stale senders.</summary>
    public TimeSpan? CorrectedAt;
    public UpdateNode? LoadReport;
}
