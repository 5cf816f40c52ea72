using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>Composes packets: what they are about, then as much news as fits, the least sent first. Membership goes before load.</summary>
internal sealed class PacketWriter(CoreState state, PacketSeal seal, AmplificationLimit strangers)
{
    private readonly byte[] _datagram = new byte[WireLimits.Datagram];
    private const int PartsThatMayMiss = 4;

    public void Ping(PeerAddress to, uint sequence, MemberRecord target)
    {
        var writer = Begin(PacketKind.Ping, sequence, target.Id);
        // Buddy: the one whom we doubt learns it from us, and refutes within one round trip.
        Finish(ref writer, to, about: target.State == MemberState.Alive || !state.Variant.Buddy ? null : target);
    }

    /// <summary>Answers a ping; where we believe the other is not well, it learns that too.</summary>
    public void Ack(PeerAddress to, uint sequence, MemberRecord? other)
    {
        var writer = Begin(PacketKind.Ack, sequence, target: 0);
        Finish(ref writer, to, about: other is null || other.State == MemberState.Alive || !state.Variant.Buddy ? null : other);
    }

    public void RelayedAck(PeerAddress to, uint sequence, ulong target)
    {
        var writer = Begin(PacketKind.Ack, sequence, target);
        Finish(ref writer, to);
    }

    public void Nack(PeerAddress to, uint sequence, ulong target)
    {
        var writer = Begin(PacketKind.Nack, sequence, target);
        Finish(ref writer, to);
    }

    public void PingRequest(PeerAddress to, uint sequence, MemberRecord target)
    {
        Span<byte> address = stackalloc byte[18];
        var writer = Begin(PacketKind.PingRequest, sequence, target.Id);
        writer.Bytes(5, address[..target.Address.WriteTo(address)]);
        Finish(ref writer, to);
    }

    /// <summary>Asks whoever is at <paramref name="to"/> whether it is that life.</summary>
    public void BarePing(PeerAddress to, uint sequence, ulong target)
    {
        var writer = Begin(PacketKind.Ping, sequence, target);
        Send(ref writer, to);
    }

    /// <summary>News only.</summary>
    public void Gossip(PeerAddress to)
    {
        var writer = Begin(PacketKind.Gossip, 0, 0);
        Finish(ref writer, to);
    }

    public void Beacon(PeerAddress to, LoadUpdate load)
    {
        var writer = Begin(PacketKind.Beacon, withDigest: false);
        load.WriteTo(ref writer, PacketBody.LoadsField);
        Send(ref writer, to);
    }

    /// <summary>Tells one member what we hold to be true, about itself or about a stale claim it made; rare per member.</summary>
    public void Correct(PeerAddress to, MemberRecord about, MemberRecord? receiver)
    {
        if (receiver is not null)
        {
            if (state.Now - receiver.CorrectedAt < state.Options.ProbePeriod)
                return;
            receiver.CorrectedAt = state.Now;
        }
        var writer = Begin(PacketKind.Gossip, 0, 0);
        // Anybody may claim to be an old life, from anybody's address: it gets what it takes to learn better, and no metadata.
        var parts = strangers.Covers(to) ? UpdateParts.State | UpdateParts.Introduction : UpdateParts.All;
        Claim(about, parts).WriteTo(ref writer, PacketBody.UpdatesField);
        // What is rare per member needs no other limit: the old life of a name has to hear that it is one.
        Send(ref writer, to, isRare: receiver is not null);
    }

    /// <summary>A ping for a TCP exchange, composed in the caller's buffer.</summary>
    public ReadOnlySpan<byte> StreamPing(Span<byte> buffer, uint sequence, ulong target) =>
        Compose(buffer, PacketKind.Ping, sequence, target);

    /// <summary>The reply to it.</summary>
    public ReadOnlySpan<byte> StreamAck(Span<byte> buffer, uint sequence) => Compose(buffer, PacketKind.Ack, sequence, 0);

    /// <summary>All that is known, the gone included, for a TCP exchange; <see cref="PacketKind.Pull"/> says nothing but that it asks.</summary>
    public ReadOnlySpan<byte> FullState(PacketKind kind)
    {
        var size = WireLimits.Datagram;
        if (kind != PacketKind.Pull)
            foreach (var record in state.Table.All)
                size += WireLimits.NameBytes + 160 + record.Metadata.Length;
        var buffer = new byte[Math.Min(size, WireLimits.Stream)];
        var writer = BeginIn(buffer, kind, 0, 0);
        if (kind != PacketKind.Pull)
            foreach (var record in state.Table.All)
                if (!IsUnclaimed(record) && !TryAdd(ref writer, record))
                    break;
        return buffer.AsSpan(0, seal.Close(buffer, writer.Position, state.Self.Generation));
    }

    /// <summary>While its name is checked this member is no member yet: telling of it would push out whoever has the name.</summary>
    private bool IsUnclaimed(MemberRecord record) => record == state.Self && state.Phase == CorePhase.Observing;

    /// <summary>Writes a whole record; false where it does not fit any more.</summary>
    public bool TryAdd(ref ProtoWriter writer, MemberRecord record)
    {
        var before = writer.Position;
        Claim(record, UpdateParts.All).WriteTo(ref writer, PacketBody.UpdatesField);
        var fits = !writer.Overflowed;
        if (!fits)
            writer.RewindTo(before);
        return fits;
    }

    /// <summary>A tombstone keeps its age when it is passed on: otherwise it would live for ever, as long as newcomers learn of it.</summary>
    private MemberUpdate Claim(MemberRecord record, UpdateParts parts)
    {
        var claim = record.ToUpdate(parts);
        if (!record.IsLive && claim.Introduces)
            claim.GoneSeconds = (uint)Math.Clamp(Math.Ceiling((state.Now - record.StateSince).TotalSeconds), 0, uint.MaxValue);
        return claim;
    }

    private ReadOnlySpan<byte> Compose(Span<byte> buffer, PacketKind kind, uint sequence, ulong target)
    {
        var writer = BeginIn(buffer, kind, sequence, target);
        return buffer[..seal.Close(buffer, writer.Position, state.Self.Generation)];
    }

    public ProtoWriter Begin(PacketKind kind, uint sequence = 0, ulong target = 0, bool withDigest = true) =>
        BeginIn(_datagram, kind, sequence, target, withDigest);

    private ProtoWriter BeginIn(Span<byte> buffer, PacketKind kind, uint sequence, ulong target, bool withDigest = true)
    {
        var writer = new ProtoWriter(buffer[..^seal.Trailer], PacketHeader.Length + seal.Prefix);
        writer.Varint(1, (uint)kind);
        writer.Varint(2, sequence);
        writer.Fixed64(3, target);
        writer.Fixed64(4, !withDigest || state.Phase == CorePhase.Observing ? 0 : state.Table.Digest);
        return writer;
    }

    public void Send(ref ProtoWriter writer, PeerAddress to, bool isRare = false)
    {
        if (state.Phase == CorePhase.Over)
            return;
        var length = seal.Close(_datagram, writer.Position, state.Self.Generation);
        if (isRare || strangers.TrySpend(to, length))
            state.Effects.Send(to, _datagram.AsSpan(0, length));
    }

    private void Finish(ref ProtoWriter writer, PeerAddress to, MemberRecord? about = null)
    {
        var brief = strangers.Covers(to);
        if (!brief)
            about?.ToUpdate(UpdateParts.State).WriteTo(ref writer, PacketBody.UpdatesField);
        if (!brief && state.Phase != CorePhase.Observing)
        {
            AddNews(ref writer, to, about);
            AddLoads(ref writer);
        }
        Send(ref writer, to);
    }

    private void AddNews(ref ProtoWriter writer, PeerAddress to, MemberRecord? told)
    {
        if (state.News.Count == 0)
            return;
        var limit = state.Retransmissions;
        var offer = state.News.BeginPacket();
        for (var misses = 0; misses < PartsThatMayMiss && offer.Next() is { } node;)
        {
            var member = node.Member;
            if (member == told || (member.Address == to && member.State == MemberState.Alive))
                continue;
            var before = writer.Position;
            Claim(member, node.Parts).WriteTo(ref writer, PacketBody.UpdatesField);
            if (writer.Overflowed)
            {
                writer.RewindTo(before);
                misses++;
                continue;
            }
            offer.Sent(node, limit);
        }
    }

    private void AddLoads(ref ProtoWriter writer)
    {
        if (state.LoadNews.Count == 0)
            return;
        var limit = state.Options.LoadRetransmissions;
        var offer = state.LoadNews.BeginPacket();
        while (offer.Next() is { } node)
        {
            var before = writer.Position;
            node.Member.Load.WriteTo(ref writer, PacketBody.LoadsField);
            if (writer.Overflowed)
            {
                writer.RewindTo(before);
                return;
            }
            offer.Sent(node, limit);
        }
    }
}
