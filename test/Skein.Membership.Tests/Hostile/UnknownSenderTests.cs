using Skein.Membership.Core;
using Skein.Membership.Tests.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Hostile;

/// <summary>Without keys the source address of a datagram may be forged: a member must not send more bytes to it than it received.</summary>
public sealed class UnknownSenderTests
{
    private static readonly PeerAddress Victim = PeerAddress.OfIPv4(0xC0A80001, 666);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);
    private readonly byte[] _buffer = new byte[WireLimits.Datagram];
    private readonly DirectGroup _group = new(count: 3, GossipKeys.None);
    private readonly SeededRandom _random = new(seed: 5);

    public UnknownSenderTests()
    {
        _group.First.UpdateMetadata(new byte[WireLimits.MetadataBytes], _group.Now);
        _group.Run(TimeSpan.FromSeconds(5), Step);
        Assert.Equal(3, _group.LiveAtFirst);
        Assert.Equal(0, _group.SentOutside);
    }

    [Theory]
    [InlineData("ping of it")]
    [InlineData("ping of another")]
    [InlineData("ping request")]
    [InlineData("ack with another digest")]
    [InlineData("compare")]
    [InlineData("versions")]
    [InlineData("want")]
    [InlineData("rumours of unknown lives")]
    public void Receive_FromAForgedAddress_SendsItNoMoreThanCameFromThere(string kind)
    {
        long received = 0;

        for (var i = 0; i < 2_000; i++)
            received += Send(kind, sender: _random.NextUInt64() | 1);
        // Delayed replies are sent, too.
        _group.Run(TimeSpan.FromSeconds(2), Step);

        TestContext.Current.TestOutputHelper?.WriteLine($"{kind}: {_group.SentOutsideBytes} bytes out for {received} in");
        Assert.InRange(_group.SentOutsideBytes, 0, received);
    }

    /// <summary>The limit must not silence a new member that this one does not know yet.</summary>
    [Fact]
    public void Receive_PingOfANewMember_IsAnsweredEachTime()
    {
        for (var i = 0; i < 100; i++)
            Send("ping of it", sender: 77);

        Assert.Equal(100, _group.SentOutside);
    }

    /// <summary>A sender whose reply would exceed the limit is asked to introduce itself, so that it is known the next time.</summary>
    [Fact]
    public void Receive_CompareOfAnUnknownMember_IsAnsweredByARequestForItsRecord()
    {
        var received = Send("compare", sender: 77);

        Assert.Equal(1, _group.SentOutside);
        Assert.InRange(_group.SentOutsideBytes, 1, received);
    }

    /// <summary>Two unknown members would ask each other forever, and with duplicated datagrams at a growing rate.</summary>
    [Fact]
    public void Receive_WantOfAnUnknownSender_IsNoReasonToAskBack()
    {
        for (var i = 0; i < 100; i++)
            Send("want", sender: 77);

        Assert.Equal(0, _group.SentOutside);
    }

    [Fact]
    public void Receive_WantOfTheNewGenerationOfAKnownName_DrawsOneShortIntroductionAPeriod()
    {
        var other = MemberName.IdOf("m-1");
        var periods = 10;
        for (var i = 0; i < periods * 100; i++)
        {
            var length = Compose("want", other);
            new PacketHeader(PacketHeader.ClusterOf("c"), other, Generation: 5_000, Sealed: false).WriteTo(_buffer);
            Assert.True(_group.First.Receive(Victim, _buffer.AsSpan(0, length), _group.Now));
            _group.Run(Step, Step);
        }

        Assert.InRange(_group.SentOutside, periods / 2, periods + 1);
        Assert.InRange(_group.SentOutsideBytes / _group.SentOutside, 1, 100);
    }

    /// <summary>The one reply that may exceed its request, because an old generation of a name must learn of the new one.</summary>
    [Fact]
    public void Receive_ForgedOldGenerationOfAKnownName_DrawsOneShortCorrectionAPeriod()
    {
        var other = MemberName.IdOf("m-1");
        GiveMetadata(other);

        var periods = 10;
        for (var i = 0; i < periods * 100; i++)
        {
            Send("gossip", sender: other);
            _group.Run(Step, Step);
        }

        Assert.InRange(_group.SentOutside, 1, periods + 1);
        Assert.InRange(_group.SentOutsideBytes / _group.SentOutside, 1, 100);
    }

    private void GiveMetadata(ulong member)
    {
        new PacketHeader(PacketHeader.ClusterOf("c"), Sender: 77, Generation: 5, Sealed: false).WriteTo(_buffer);
        var writer = new ProtoWriter(_buffer, PacketHeader.Length);
        writer.Varint(1, (uint)PacketKind.Gossip);
        new MemberUpdate { Id = member, Generation = 1000, MetadataSequence = 9, Metadata = new byte[WireLimits.MetadataBytes] }.WriteTo(ref writer, PacketBody.UpdatesField);
        Assert.True(_group.First.Receive(Victim, _buffer.AsSpan(0, writer.Position), _group.Now));
    }

    private int Send(string kind, ulong sender)
    {
        var length = Compose(kind, sender);
        Assert.True(_group.First.Receive(Victim, _buffer.AsSpan(0, length), _group.Now), $"{kind} was dropped as {_group.First.LastDrop}");
        return length;
    }

    private int Compose(string kind, ulong sender)
    {
        var self = _group.First.Table.Self.Id;
        var other = MemberName.IdOf("m-1");
        new PacketHeader(PacketHeader.ClusterOf("c"), sender, Generation: 5, Sealed: false).WriteTo(_buffer);
        var writer = new ProtoWriter(_buffer, PacketHeader.Length);
        switch (kind)
        {
            case "ping of it" or "ping of another":
                writer.Varint(1, (uint)PacketKind.Ping);
                writer.Varint(2, 1);
                writer.Fixed64(3, kind == "ping of it" ? self : other);
                writer.Fixed64(4, sender);
                break;
            case "ping request":
                Span<byte> address = stackalloc byte[18];
                writer.Varint(1, (uint)PacketKind.PingRequest);
                writer.Varint(2, 1);
                writer.Fixed64(3, sender);
                writer.Bytes(5, address[..Victim.WriteTo(address)]);
                break;
            case "gossip":
                writer.Varint(1, (uint)PacketKind.Gossip);
                break;
            case "ack with another digest":
                writer.Varint(1, (uint)PacketKind.Ack);
                writer.Fixed64(4, sender);
                break;
            case "compare":
                writer.Varint(1, (uint)PacketKind.Compare);
                writer.Bytes(8, new byte[16 * 4]);
                break;
            case "versions":
                writer.Varint(1, (uint)PacketKind.Versions);
                writer.Varint(12, 16);
                writer.Bytes(9, [.. Enumerable.Range(0, 16).Select(static bucket => (byte)bucket)]);
                break;
            case "want":
                writer.Varint(1, (uint)PacketKind.Want);
                writer.PackedFixed64(11, [self, other, self, other, self, other, self, other]);
                break;
            default:
                writer.Varint(1, (uint)PacketKind.Gossip);
                for (var i = 0; i < 40; i++)
                    new MemberUpdate { Id = _random.NextUInt64() | 1, Generation = 1, State = MemberState.Alive }.WriteTo(ref writer, PacketBody.UpdatesField);
                break;
        }
        return writer.Position;
    }
}
