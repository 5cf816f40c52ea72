using System.Text;
using Skein.Membership.Core;
using Skein.Membership.Tests.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Hostile;

/// <summary>Invented tombstones neither fill memory nor displace genuine ones.</summary>
public sealed class TombstoneFloodTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);
    private static readonly PeerAddress Attacker = PeerAddress.OfIPv4(0xC0A80001, 666);
    private readonly DirectGroup _group = new(count: 3, GossipKeys.None);
    private readonly byte[] _buffer = new byte[WireLimits.Datagram];

    [Fact]
    public void Receive_MoreDeadThanAreRemembered_KeepsTheFirstOnesAndTheBound()
    {
        var most = ProtocolOptions.Lan.MaxTombstones;
        Tell("real", goneSeconds: 3600);

        for (var i = 0; i < most * 2; i++)
            Tell($"invented-{i}", goneSeconds: 0);
        _group.Run(TimeSpan.FromMinutes(2), Step);

        Assert.Equal(most, _group.First.Table.Gone.Count);
        Assert.NotNull(_group.First.Table.Find(MemberName.IdOf("real")));
    }

    [Fact]
    public void Receive_TheDeadOfLongAgo_AreNotTakenUp()
    {
        Tell("forgotten", goneSeconds: uint.MaxValue);

        Assert.Null(_group.First.Table.Find(MemberName.IdOf("forgotten")));
    }

    private void Tell(string name, uint goneSeconds)
    {
        new PacketHeader(PacketHeader.ClusterOf("c"), Sender: 77, Generation: 5, Sealed: false).WriteTo(_buffer);
        var writer = new ProtoWriter(_buffer, PacketHeader.Length);
        writer.Varint(1, (uint)PacketKind.Gossip);
        var dead = new MemberUpdate
        {
            Id = MemberName.IdOf(name), Generation = 1, State = MemberState.Dead, Name = Encoding.ASCII.GetBytes(name), Address = Attacker,
            GoneSeconds = goneSeconds,
        };
        dead.WriteTo(ref writer, PacketBody.UpdatesField);
        Assert.True(_group.First.Receive(Attacker, _buffer.AsSpan(0, writer.Position), _group.Now));
    }
}
