using System.Buffers.Binary;
using System.Numerics;
using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Brings views together that rumours left apart. Every ack carries a digest of the sender's view; where it differs although rumours had
/// time to arrive, the two compare bucket by bucket, then member by member, and send each other what the other lacks. Much too different
/// views exchange their full state.
/// </summary>
internal sealed class AntiEntropy(CoreState state, PacketWriter outbox)
{
    private TimeSpan _notBefore;
    private readonly MemberRecord[] _partner = new MemberRecord[1];
    private const int MostDatagrams = 8;

    /// <summary>As memberlist does it.</summary>
    private static readonly TimeSpan AntiEntropyInterval = TimeSpan.FromSeconds(30);

    /// <summary>How long rumours get before a difference is looked into.</summary>
    private TimeSpan Settle => state.Options.GossipInterval * 3;

    /// <summary>An ack brought the digest of another view.</summary>
    public void OnDigest(PeerAddress peer, ulong digest)
    {
        if (digest == state.Table.Digest || state.Phase != CorePhase.Active || !state.Variant.AntiEntropy)
            return;
        if (state.Now - state.DigestSince < Settle || state.Now < _notBefore)
            return;
        _notBefore = state.Now + state.Options.ProbePeriod / 4;
        Span<byte> digests = stackalloc byte[WireLimits.Buckets * 4];
        var buckets = BucketCount;
        digests = digests[..(buckets * 4)];
        WriteBuckets(digests, buckets);
        var writer = outbox.Begin(PacketKind.Compare);
        writer.Bytes(8, digests);
        outbox.Send(ref writer, peer);
    }

    /// <summary>Without comparisons: full state with anybody, now and then.</summary>
    public void OnAntiEntropy()
    {
        state.Timers.Set(state.Now + AntiEntropyInterval, TimerKind.AntiEntropy);
        if (state.Phase == CorePhase.Active && state.Table.PickLive(state.Random, _partner) > 0)
            Exchange(_partner[0].Address);
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
        var news = new List<MemberRecord>();
        var items = body.Items(PacketBody.VersionsField);
        while (items.TryNext(out var bytes))
        {
            _ = MemberVersion.TryRead(bytes, out var theirs);
            listed.Add(theirs.Id);
            var ours = state.Table.Find(theirs.Id);
            if (IsNewer(theirs, ours) && wants < wanted.Length)
                wanted[wants++] = theirs.Id;
            if (ours is not null && IsNewer(ours.Version, theirs))
                news.Add(ours);
        }
        foreach (var ours in state.Table.All)
            if (ours.IsLive && body.Buckets.Contains((byte)Bucket(ours, (int)body.BucketCount)) && !listed.Contains(ours.Id))
                news.Add(ours);
        if (wants > 0)
        {
            var writer = outbox.Begin(PacketKind.Want);
            writer.PackedFixed64(11, wanted[..wants]);
            outbox.Send(ref writer, peer);
        }
        SendRecords(peer, news);
    }

    public void OnWant(PeerAddress peer, ReadOnlySpan<byte> wanted)
    {
        var records = new List<MemberRecord>(wanted.Length / 8);
        for (; !wanted.IsEmpty; wanted = wanted[8..])
            if (state.Table.Find(BinaryPrimitives.ReadUInt64LittleEndian(wanted)) is { } record)
                records.Add(record);
        SendRecords(peer, records);
    }

    public void Want(PeerAddress peer, ulong id)
    {
        var writer = outbox.Begin(PacketKind.Want);
        writer.PackedFixed64(11, [id]);
        outbox.Send(ref writer, peer);
    }

    /// <summary>The gone are listed too, so that who still believes in them learns better.</summary>
    private int BucketCount =>
        Math.Clamp((int)BitOperations.RoundUpToPowerOf2((uint)(state.Table.LiveCount + state.Table.Gone.Count)), 16, WireLimits.Buckets);

    public void Exchange(PeerAddress peer) =>
        state.Effects.Exchange(
            new ExchangeToken(ExchangePurpose.AntiEntropy, 0), peer, outbox.FullState(PacketKind.PushPull), state.Options.ExchangeTimeout);

    /// <summary>Tells what we know in the buckets that differ; false where that would take too many packets.</summary>
    private bool SendVersions(PeerAddress peer, ReadOnlySpan<byte> differing, int buckets)
    {
        var members = Sort(buckets);
        var packets = 0;
        while (!differing.IsEmpty)
        {
            var taken = FitVersions(peer, differing, buckets, members);
            if (taken == 0 || ++packets == MostDatagrams)
                return false;
            differing = differing[taken..];
        }
        return true;
    }

    private int FitVersions(PeerAddress peer, ReadOnlySpan<byte> differing, int buckets, List<MemberRecord>[] members)
    {
        const int RoomForList = WireLimits.Buckets + 8;
        var writer = outbox.Begin(PacketKind.Versions);
        writer.Varint(12, (uint)buckets);
        var taken = 0;
        var whole = writer.Position;
        for (; taken < differing.Length; taken++)
        {
            foreach (var record in members[differing[taken]])
                record.Version.WriteTo(ref writer, PacketBody.VersionsField);
            if (writer.Overflowed || writer.Position > WireLimits.Datagram - RoomForList)
                break;
            whole = writer.Position;
        }
        if (taken == 0)
            return 0;
        writer.RewindTo(whole);
        writer.Bytes(9, differing[..taken]);
        outbox.Send(ref writer, peer);
        return taken;
    }

    private void SendRecords(PeerAddress peer, List<MemberRecord> records)
    {
        var sent = 0;
        for (var packets = 0; packets < MostDatagrams && sent < records.Count; packets++)
        {
            var writer = outbox.Begin(PacketKind.State);
            while (sent < records.Count && outbox.TryAdd(ref writer, records[sent]))
                sent++;
            outbox.Send(ref writer, peer);
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

    private List<MemberRecord>[] Sort(int buckets)
    {
        var members = new List<MemberRecord>[buckets];
        for (var i = 0; i < buckets; i++)
            members[i] = [];
        foreach (var record in state.Table.All)
            members[Bucket(record, buckets)].Add(record);
        return members;
    }

    private static int Bucket(MemberRecord record, int buckets) => (int)(record.Id & (ulong)(buckets - 1));

    /// <summary>Whether <paramref name="theirs"/> knows more than <paramref name="ours"/>; the unknown dead are not worth asking for.</summary>
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
