using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>Repairs views that gossip left different: members compare digests, then buckets, then versions, and exchange all if much differs.</summary>
internal sealed class AntiEntropy(CoreState state, PacketWriter packets)
{
    private TimeSpan _notBefore;
    private const int MaxDatagrams = 8;

    private TimeSpan SettleTime => state.Options.GossipInterval * 3;

    public void OnDigest(PeerAddress peer, ulong digest)
    {
        if (digest == state.Table.Digest || state.Phase != CorePhase.Active || !state.Rules.ComparesViews)
            return;
        if (state.Now - state.DigestSince < SettleTime || state.Now < _notBefore)
            return;
        _notBefore = state.Now + state.Options.ProbePeriod / 4;
        var buckets = BucketCount;
        Span<byte> digests = stackalloc byte[WireLimits.Buckets * 4];
        digests = digests[..(buckets * 4)];
        WriteBuckets(digests, buckets);
        var writer = packets.Begin(PacketKind.Compare);
        writer.Bytes(8, digests);
        packets.Send(ref writer, peer);
    }

    public void OnCompare(PeerAddress peer, ReadOnlySpan<byte> theirs)
    {
        var buckets = theirs.Length / 4;
        Span<byte> ours = stackalloc byte[theirs.Length];
        WriteBuckets(ours, buckets);
        Span<byte> differing = stackalloc byte[buckets];
        var count = 0;
        for (var i = 0; i < buckets; i++)
            if (!ours.Slice(i * 4, 4).SequenceEqual(theirs.Slice(i * 4, 4)))
                differing[count++] = (byte)i;
        if (count > 0 && !SendVersions(peer, differing[..count], buckets))
            Exchange(peer);
    }

    public void OnVersions(PeerAddress peer, in PacketBody body)
    {
        Span<ulong> wanted = stackalloc ulong[WireLimits.Wanted];
        var wants = 0;
        var listed = new HashSet<ulong>();
        var missing = new List<MemberRecord>();
        var items = body.Items(PacketBody.VersionsField);
        while (items.TryNext(out var bytes))
        {
            _ = MemberVersion.TryRead(bytes, out var theirs);
            listed.Add(theirs.Id);
            var ours = state.Table.Find(theirs.Id);
            if (IsNewer(theirs, ours) && wants < wanted.Length)
                wanted[wants++] = theirs.Id;
            if (ours is not null && IsNewer(ours.Version, theirs))
                missing.Add(ours);
        }
        foreach (var ours in state.Table.All)
            if (ours.IsLive && body.Buckets.Contains((byte)Bucket(ours, (int)body.BucketCount)) && !listed.Contains(ours.Id))
                missing.Add(ours);
        if (wants > 0)
            Want(peer, wanted[..wants]);
        SendRecords(peer, missing);
    }

    public void OnWant(PeerAddress peer, ReadOnlySpan<byte> wanted)
    {
        var records = new List<MemberRecord>(wanted.Length / 8);
        for (; !wanted.IsEmpty; wanted = wanted[8..])
            if (state.Table.Find(BinaryPrimitives.ReadUInt64LittleEndian(wanted)) is { } record)
                records.Add(record);
        SendRecords(peer, records);
    }

    public void Want(PeerAddress peer, params ReadOnlySpan<ulong> ids)
    {
        var writer = packets.Begin(PacketKind.Want);
        writer.PackedFixed64(11, ids);
        packets.Send(ref writer, peer);
    }

    public void Exchange(PeerAddress peer)
    {
        var token = new ExchangeToken(ExchangePurpose.AntiEntropy, 0);
        state.Effects.Exchange(token, peer, packets.FullState(PacketKind.PushPull), state.Options.ExchangeTimeout);
    }

    private int BucketCount =>
        Math.Clamp((int)BitOperations.RoundUpToPowerOf2((uint)(state.Table.LiveCount + state.Table.Gone.Count)), 16, WireLimits.Buckets);

    /// <summary>Sends the versions in the differing buckets, tombstones included; returns false if that takes too many packets.</summary>
    private bool SendVersions(PeerAddress peer, ReadOnlySpan<byte> differing, int buckets)
    {
        var members = state.Table.All.ToLookup(record => Bucket(record, buckets));
        var sent = 0;
        while (!differing.IsEmpty)
        {
            var taken = SendVersionsThatFit(peer, differing, buckets, members);
            if (taken == 0 || ++sent == MaxDatagrams)
                return false;
            differing = differing[taken..];
        }
        return true;
    }

    private int SendVersionsThatFit(PeerAddress peer, ReadOnlySpan<byte> differing, int buckets, ILookup<int, MemberRecord> members)
    {
        const int BytesOfBucketList = WireLimits.Buckets + 8;
        var writer = packets.Begin(PacketKind.Versions);
        writer.Varint(12, (uint)buckets);
        var taken = 0;
        var whole = writer.Position;
        for (; taken < differing.Length; taken++)
        {
            foreach (var record in members[differing[taken]])
                record.Version.WriteTo(ref writer, PacketBody.VersionsField);
            if (writer.Overflowed || writer.Position > WireLimits.Datagram - BytesOfBucketList)
                break;
            whole = writer.Position;
        }
        if (taken == 0)
            return 0;
        writer.RewindTo(whole);
        writer.Bytes(9, differing[..taken]);
        packets.Send(ref writer, peer);
        return taken;
    }

    private void SendRecords(PeerAddress peer, List<MemberRecord> records)
    {
        var sent = 0;
        for (var datagrams = 0; datagrams < MaxDatagrams && sent < records.Count; datagrams++)
        {
            var writer = packets.Begin(PacketKind.State);
            while (sent < records.Count && packets.TryAdd(ref writer, records[sent]))
                sent++;
            packets.Send(ref writer, peer);
        }
    }

    private void WriteBuckets(Span<byte> digests, int buckets)
    {
        digests.Clear();
        foreach (var record in state.Table.All)
        {
            var bucket = digests.Slice(Bucket(record, buckets) * 4, 4);
            BinaryPrimitives.WriteUInt32BigEndian(bucket, BinaryPrimitives.ReadUInt32BigEndian(bucket) ^ (uint)record.DigestPart);
        }
    }

    private static int Bucket(MemberRecord record, int buckets) => (int)(record.Id & (ulong)(buckets - 1));

    /// <summary>Whether <paramref name="theirs"/> is newer than <paramref name="ours"/>. Unknown dead members are not requested.</summary>
    private static bool IsNewer(in MemberVersion theirs, MemberRecord? ours) =>
        ours is null ? theirs.State is MemberState.Alive or MemberState.Suspect : IsNewer(theirs, ours.Version);

    private static bool IsNewer(in MemberVersion left, in MemberVersion right)
    {
        if (left.Generation != right.Generation)
            return left.Generation > right.Generation;
        return left.MetadataSequence > right.MetadataSequence
            || (left.Incarnation, left.State).CompareTo((right.Incarnation, right.State)) > 0;
    }
}
