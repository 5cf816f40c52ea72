using Google.Protobuf;
using Skein.Membership.Core;
using Skein.Membership.Codec;
using Skein.Protocol.V1;

namespace Skein.Membership.Transport;

/// <summary>Publishes immutable snapshots of the core's table. Written by the loop; readable from any thread.</summary>
internal sealed class SnapshotPublisher(string? beaconsTo)
{
    private readonly Dictionary<ulong, (byte[] Bytes, MemberMetadata Parsed)> _metadata = [];
    private volatile MembershipSnapshot? _current;
    private volatile TaskCompletionSource _changed = NewSignal();
    private long _revision = -1;
    private ulong[] _receivers = [];

    public MembershipSnapshot Current => _current ?? throw new InvalidOperationException("the member has not started");

    public bool IsStale(MembershipCore core) => core.Table.Revision != _revision;

    public async ValueTask<MembershipSnapshot> WaitAsync(long version, CancellationToken cancellationToken)
    {
        while (true)
        {
            var changed = _changed;
            if (_current is { } current && current.Version > version)
                return current;
            await changed.Task.WaitAsync(cancellationToken);
        }
    }

    public void Publish(MembershipCore core, TimeSpan now)
    {
        _revision = core.Table.Revision;
        var self = core.Table.Self;
        ImmutableArray<Member> members =
            [.. core.Table.All.Select(record => ToMember(record, record == self)).OrderBy(static member => member.Name, StringComparer.Ordinal)];
        // The cache of parsed metadata contains purged members.
        if (_metadata.Count > 64 + members.Length * 2)
            _metadata.Clear();
        var own = members.First(static member => member.IsSelf);
        _current = new MembershipSnapshot((_current?.Version ?? 0) + 1, own, members, [.. core.Seeds]);
        var changed = _changed;
        _changed = NewSignal();
        changed.SetResult();
        if (beaconsTo is not null)
            ChooseReceivers(core, members, now);
    }

    /// <summary>Selects the members that receive beacons, by role. The core does not parse metadata.</summary>
    private void ChooseReceivers(MembershipCore core, ImmutableArray<Member> members, TimeSpan now)
    {
        ulong[] receivers = [.. members.Where(member => member is { IsSelf: false, IsLive: true } && member.Role == beaconsTo)
            .Select(static member => MemberName.IdOf(member.Name))];
        if (_receivers.AsSpan().SequenceEqual(receivers))
            return;
        _receivers = receivers;
        core.SetBeaconReceivers(receivers, now);
    }

    public void Close() => _changed.TrySetCanceled();

    public Member ToMember(MemberRecord record, bool isSelf) => new()
    {
        Name = record.Name,
        State = record.State,
        Generation = record.Generation,
        Incarnation = record.Incarnation,
        Gossip = record.Address.ToEndPoint(),
        Metadata = Parse(record),
        InFlight = record.Details.Load.Sequence == 0 ? null : (int)record.Details.Load.InFlight,
        Queued = record.Details.Load.Sequence == 0 ? null : (int)record.Details.Load.Queued,
        Death = record.State == MemberState.Dead ? record.Details.Death : DeathCause.None,
        IsSelf = isSelf,
    };

    /// <summary>Unreadable metadata counts as empty: it may come from a later version.</summary>
    private MemberMetadata Parse(MemberRecord record)
    {
        if (_metadata.TryGetValue(record.Id, out var known) && known.Bytes == record.Metadata)
            return known.Parsed;
        MemberMetadata parsed;
        try
        {
            parsed = MemberMetadata.Parser.ParseFrom(record.Metadata);
        }
        catch (InvalidProtocolBufferException)
        {
            parsed = new MemberMetadata();
        }
        _metadata[record.Id] = (record.Metadata, parsed);
        return parsed;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
