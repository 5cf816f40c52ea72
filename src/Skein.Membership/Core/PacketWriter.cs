using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>Composes packets: the message, then as many updates as fit, those with the fewest transmissions first. Membership precedes load.</summary>
internal sealed class PacketWriter(CoreState state, PacketSeal seal, AmplificationLimit limit)
{
    private readonly byte[] _datagram = new byte[WireLimits.Datagram];
    private const int MaxMisfits = 4;

    private const int LoadTransmissions = 4;

    public void Ping(PeerAddress to, uint sequence, MemberRecord target) => Send(PacketKind.Ping, to, sequence, target.Id, SuspicionOf(target));

    public void Ack(PeerAddress to, uint sequence, MemberRecord? other) => Send(PacketKind.Ack, to, sequence, 0, SuspicionOf(other));

    /// <summary>A packet of that kind with updates, the one about <paramref name="about"/> first.</summary>
    public void Send(PacketKind kind, PeerAddress to, uint sequence = 0, ulong target = 0, MemberRecord? about = null)
    {
        var writer = Begin(kind, sequence, target);
        Finish(ref writer, to, about);
    }

    public void PingRequest(PeerAddress to, uint sequence, MemberRecord target)
    {
        Span<byte> address = stackalloc byte[18];
        var writer = Begin(PacketKind.PingRequest, sequence, target.Id);
        writer.Bytes(5, address[..target.Address.WriteTo(address)]);
        Finish(ref writer, to);
    }

    /// <summary>A ping without updates, for an address that may belong to another generation of the target.</summary>
    public void BarePing(PeerAddress to, uint sequence, ulong target)
    {
        var writer = Begin(PacketKind.Ping, sequence, target);
        Send(ref writer, to);
    }

    public void Beacon(PeerAddress to, LoadUpdate load)
    {
        var writer = Begin(PacketKind.Beacon, withDigest: false);
        load.WriteTo(ref writer, PacketBody.LoadsField);
        Send(ref writer, to);
    }

    /// <summary>Sends this member's belief about <paramref name="about"/>; at most once a probe period to each known receiver.</summary>
    public void Correct(PeerAddress to, MemberRecord about, MemberRecord? receiver)
    {
        if (receiver is not null)
        {
            if (state.Now - receiver.Details.CorrectedAt < state.Options.ProbePeriod)
                return;
            receiver.EditDetails.CorrectedAt = state.Now;
        }
        var writer = Begin(PacketKind.Gossip);
        // Any sender can claim to be an old generation at any address: the reply stays small.
        var parts = limit.Covers(to) ? UpdateParts.State | UpdateParts.Introduction : UpdateParts.All;
        UpdateOf(about, parts).WriteTo(ref writer, PacketBody.UpdatesField);
        // The rate per receiver is limited above. The old generation of a name must learn that it is superseded.
        Send(ref writer, to, isRateLimited: receiver is not null);
    }

    /// <summary>A packet without updates for a TCP exchange, in the caller's buffer.</summary>
    public ReadOnlySpan<byte> Compose(Span<byte> buffer, PacketKind kind, uint sequence, ulong target = 0)
    {
        var writer = BeginIn(buffer, kind, sequence, target);
        return buffer[..seal.Close(buffer, writer.Position, state.Self.Generation)];
    }

    /// <summary>The full state, tombstones included, for a TCP exchange. A <see cref="PacketKind.Pull"/> is only the request for it.</summary>
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

    public bool TryAdd(ref ProtoWriter writer, MemberRecord record, UpdateParts parts = UpdateParts.All)
    {
        var before = writer.Position;
        UpdateOf(record, parts).WriteTo(ref writer, PacketBody.UpdatesField);
        return writer.RewindOverflow(before);
    }

    public ProtoWriter Begin(PacketKind kind, uint sequence = 0, ulong target = 0, bool withDigest = true) =>
        BeginIn(_datagram, kind, sequence, target, withDigest);

    public void Send(ref ProtoWriter writer, PeerAddress to, bool isRateLimited = false)
    {
        if (state.Phase == CorePhase.Ended)
            return;
        var length = seal.Close(_datagram, writer.Position, state.Self.Generation);
        if (isRateLimited || limit.TrySpend(to, length))
            state.Effects.Send(to, _datagram.AsSpan(0, length));
    }

    /// <summary>What a suspect needs to know to refute within one round trip (Lifeguard: Buddy); null for others.</summary>
    private MemberRecord? SuspicionOf(MemberRecord? other) =>
        other is null || other.State == MemberState.Alive || !state.Rules.Buddy ? null : other;

    /// <summary>While its name is checked, this member must not announce itself: that would supersede the current member of that name.</summary>
    private bool IsUnclaimed(MemberRecord record) => record == state.Self && state.Phase == CorePhase.Observing;

    /// <summary>A forwarded tombstone keeps its age; otherwise it would never expire in a group that keeps growing.</summary>
    private MemberUpdate UpdateOf(MemberRecord record, UpdateParts parts)
    {
        var update = record.ToUpdate(parts);
        if (!record.IsLive && update.Introduces)
            update.GoneSeconds = (uint)Math.Clamp(Math.Ceiling((state.Now - record.Details.StateSince).TotalSeconds), 0, uint.MaxValue);
        return update;
    }

    private ProtoWriter BeginIn(Span<byte> buffer, PacketKind kind, uint sequence, ulong target, bool withDigest = true)
    {
        var writer = new ProtoWriter(buffer[..^seal.Trailer], PacketHeader.Length + seal.Prefix);
        writer.Varint(1, (uint)kind);
        writer.Varint(2, sequence);
        writer.Fixed64(3, target);
        writer.Fixed64(4, !withDigest || state.Phase == CorePhase.Observing ? 0 : state.Table.Digest);
        return writer;
    }

    private void Finish(ref ProtoWriter writer, PeerAddress to, MemberRecord? about = null)
    {
        var isShort = limit.Covers(to);
        if (!isShort)
            about?.ToUpdate(UpdateParts.State).WriteTo(ref writer, PacketBody.UpdatesField);
        if (!isShort && state.Phase != CorePhase.Observing)
        {
            AddUpdates(ref writer, to, about);
            AddLoads(ref writer);
        }
        Send(ref writer, to);
    }

    private void AddUpdates(ref ProtoWriter writer, PeerAddress to, MemberRecord? written)
    {
        if (state.Updates.Count == 0)
            return;
        var transmissions = state.Retransmissions;
        state.Updates.BeginPacket();
        for (var misfits = 0; misfits < MaxMisfits && state.Updates.Next() is { } node;)
        {
            var member = node.Member;
            if (member == written || (member.Address == to && member.State == MemberState.Alive))
                continue;
            if (TryAdd(ref writer, member, node.Parts))
                state.Updates.Sent(node, transmissions);
            else
                misfits++;
        }
    }

    private void AddLoads(ref ProtoWriter writer)
    {
        if (state.LoadUpdates.Count == 0)
            return;
        state.LoadUpdates.BeginPacket();
        while (state.LoadUpdates.Next() is { } node)
        {
            var before = writer.Position;
            node.Member.Details.Load.WriteTo(ref writer, PacketBody.LoadsField);
            if (!writer.RewindOverflow(before))
                return;
            state.LoadUpdates.Sent(node, LoadTransmissions);
        }
    }
}

/// <summary>
/// Limits replies to an unverified address to the bytes that it sent. Without keys the source of a datagram may be forged, and longer replies
/// would make this member an amplifier (as QUIC before address validation, RFC 9000, section 8.1). The limit is per datagram, so there is no
/// table of sources to exhaust.
/// </summary>
internal sealed class AmplificationLimit
{
    private PeerAddress? _source;
    private int _bytesLeft;

    /// <summary>A datagram of an unverified address is being handled.</summary>
    public bool Applies => _source is not null;

    public void Begin(PeerAddress source, int bytesReceived) => (_source, _bytesLeft) = (source, bytesReceived);

    public void End() => _source = null;

    public bool Covers(PeerAddress to) => _source == to;

    public bool TrySpend(PeerAddress to, int bytes)
    {
        if (!Covers(to))
            return true;
        if (bytes > _bytesLeft)
            return false;
        _bytesLeft -= bytes;
        return true;
    }
}
