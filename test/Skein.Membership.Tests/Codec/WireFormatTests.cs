using CsCheck;
using Google.Protobuf;
using Skein.Membership.Core;
using Skein.Membership.Codec;
using Skein.Protocol.V1;
using MemberUpdate = Skein.Membership.Codec.MemberUpdate;
using PacketKind = Skein.Membership.Codec.PacketKind;

namespace Skein.Membership.Tests.Codec;

/// <summary>Compares the hand-written codec with the code generated from gossip.proto.</summary>
public sealed class WireFormatTests
{
    private static readonly Gen<(ulong Id, ulong Generation, uint Incarnation, MemberState State, byte[] Metadata)> Claims = Gen.Select(
        Gen.ULong[1, ulong.MaxValue], Gen.ULong[1, ulong.MaxValue], Gen.UInt, Gen.Enum<MemberState>(), Gen.Byte.Array[0, 512]);

    [Fact]
    public void Update_WrittenByUs_ReadsTheSameInGeneratedCode() => Claims.Sample(claim =>
    {
        var buffer = new byte[2048];
        var writer = new ProtoWriter(buffer, 0);
        writer.Varint(1, (uint)PacketKind.Gossip);
        Update(claim).WriteTo(ref writer, PacketBody.UpdatesField);

        var packet = GossipPacket.Parser.ParseFrom(buffer.AsSpan(0, writer.Position));

        var update = Assert.Single(packet.Updates);
        Assert.Equal((claim.Id, claim.Generation, claim.Incarnation), (update.Id, update.Generation, update.Incarnation));
        Assert.Equal((int)claim.State, (int)update.State);
        Assert.Equal("member-1", update.Name);
        Assert.Equal([10, 0, 0, 1, 0x1F, 0x0A], update.Address.ToByteArray());
        Assert.Equal([11ul, 12ul], update.Accusers);
        Assert.Equal([12ul], update.Refused);
        Assert.Equal(claim.Incarnation, update.GoneSeconds);
        Assert.Equal(claim.Metadata, update.Metadata.ToByteArray());
    });

    [Fact]
    public void Update_WrittenByGeneratedCode_ReadsTheSameHere() => Claims.Sample(claim =>
    {
        var message = new Skein.Protocol.V1.MemberUpdate
        {
            Id = claim.Id, Generation = claim.Generation, Incarnation = claim.Incarnation, State = (GossipState)claim.State,
            Name = "member-1", Address = ByteString.CopyFrom(10, 0, 0, 1, 0x1F, 0x0A), Accusers = { 11, 12 },
            MetadataSequence = 3, Metadata = ByteString.CopyFrom(claim.Metadata), GoneSeconds = claim.Incarnation,
        };

        Assert.True(MemberUpdate.TryRead(message.ToByteArray(), out var update));
        Assert.Equal((claim.Id, claim.Generation, claim.Incarnation, claim.State), (update.Id, update.Generation, update.Incarnation, update.State));
        Assert.Equal("member-1"u8.ToArray(), update.Name.ToArray());
        Assert.Equal(PeerAddress.OfIPv4(0x0A000001, 7946), update.Address);
        Assert.Equal((2, 11ul, 12ul), (update.Accusers.Count, update.Accusers.Ids[0], update.Accusers.Ids[1]));
        Assert.Equal(claim.Metadata, update.Metadata.ToArray());
        Assert.Equal(claim.Incarnation, update.GoneSeconds);
    });

    [Fact]
    public void TryRead_AnyBytes_NeverThrowsAndAgreesWithGeneratedCode() => Gen.Byte.Array[0, 200].Sample(bytes =>
    {
        if (!PacketBody.TryRead(bytes, out var body))
            return;
        var packet = GossipPacket.Parser.ParseFrom(bytes);
        Assert.Equal((uint)body.Kind, (uint)packet.Kind);
        Assert.Equal(body.Digest, packet.Digest);
    });

    [Fact]
    public void TryRead_UnknownFields_AreSkipped()
    {
        var known = new GossipPacket { Kind = Skein.Protocol.V1.PacketKind.Ping, Sequence = 7 }.ToByteArray();
        byte[] unknown = [0xF8, 0x01, 0x05, 0xFA, 0x01, 0x02, 0xAA, 0xBB]; // field 31: a varint, then bytes

        Assert.True(PacketBody.TryRead([.. unknown, .. known], out var body));
        Assert.Equal((PacketKind.Ping, 7u), (body.Kind, body.Sequence));
    }

    [Fact]
    public void TryRead_MetadataAboveTheLimit_RefusesThePacket()
    {
        var message = new GossipPacket { Kind = Skein.Protocol.V1.PacketKind.Gossip };
        message.Updates.Add(new Skein.Protocol.V1.MemberUpdate { Id = 1, Generation = 1, Metadata = ByteString.CopyFrom(new byte[513]) });

        Assert.False(PacketBody.TryRead(message.ToByteArray(), out _));
    }

    private static MemberUpdate Update((ulong Id, ulong Generation, uint Incarnation, MemberState State, byte[] Metadata) claim)
    {
        var update = new MemberUpdate
        {
            Id = claim.Id, Generation = claim.Generation, Incarnation = claim.Incarnation, State = claim.State,
            Name = "member-1"u8, Address = PeerAddress.OfIPv4(0x0A000001, 7946), MetadataSequence = 3, Metadata = claim.Metadata, GoneSeconds = claim.Incarnation,
        };
        update.Accusers.Add(11);
        update.Accusers.Add(12);
        update.Refused.Add(12);
        return update;
    }
}
