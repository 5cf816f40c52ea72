using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Membership.Tests.Sockets;
using Skein.Membership.Codec;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Hostile;

/// <summary>The same attacker on real sockets, UDP and TCP: the member continues to serve its group.</summary>
public sealed class SocketFloodTests : IAsyncLifetime
{
    private static readonly GossipKeys Keys = GossipKeys.Parse(GossipKeys.NewKey());
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60), TimeProvider.System);
    private readonly List<IMembership> _members = [];
    private IMembership Attacked => _members[0];

    public async ValueTask InitializeAsync()
    {
        await JoinAsync("gateway-1");
        await JoinAsync("replica-1");
        await Group.WaitAsync(Attacked, "replica-1", static member => member.IsLive, _deadline.Token);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in _members)
            await member.DisposeAsync();
        _deadline.Dispose();
    }

    [Fact]
    public async Task Udp_TwentyThousandHostileDatagrams_AreCountedAndChangeNothing()
    {
        const int Count = 20_000;
        const int Batch = 200;
        var before = Attacked.Current.Self;
        using var enemy = new UdpClient(AddressFamily.InterNetwork);
        var hostile = new HostileDatagrams([Overheard("replica-1")], seed: 2);
        for (var sent = 0; sent < Count; sent += Batch)
        {
            for (var i = sent; i < sent + Batch; i++)
                await enemy.SendAsync(hostile.Next(HostileDatagrams.Kinds[i % HostileDatagrams.Kinds.Length]).ToArray(), Attacked.LocalEndPoint, _deadline.Token);
            // Not faster than they are read, so that each has its effect. One copy may be the first that arrives over UDP.
            await Group.TrueAsync(() => Dropped() >= sent + Batch - 1, "the flood is not read", _deadline.Token);
        }

        _members[1].UpdateLoad(inFlight: 7, queued: 0);

        await Group.WaitAsync(Attacked, "replica-1", static member => member.InFlight == 7, _deadline.Token);
        Assert.Equal(2, Attacked.Current.Members.Length);
        Assert.Equal(before, Attacked.Current.Self);
    }

    [Fact]
    public async Task Tcp_IdleConnectionsInEveryPlaceAndGarbage_NewMembersStillJoin()
    {
        var enemies = new List<Socket>();
        try
        {
            byte[][] openings =
            [
                [0x7F, 0xFF, 0xFF, 0xFF],
                [0, 0, 0, 1],
                Framed(Forged(Overheard("replica-1"))),
                .. Enumerable.Repeat<byte[]>([0, 0x7F, 0xFF, 0xFF, 0x5B], 150),
                .. Enumerable.Repeat<byte[]>([], 150),
            ];
            foreach (var opening in openings)
            {
                var enemy = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                enemies.Add(enemy);
                await enemy.ConnectAsync(Attacked.LocalEndPoint, _deadline.Token);
                if (opening.Length > 0)
                    await enemy.SendAsync(opening, _deadline.Token);
            }

            var joining = await JoinAsync("replica-2");

            await Group.WaitAsync(joining, "gateway-1", static member => member.IsLive, _deadline.Token);
            await Group.WaitAsync(Attacked, "replica-2", static member => member.IsLive, _deadline.Token);
        }
        finally
        {
            foreach (var enemy in enemies)
                enemy.Dispose();
        }
    }

    /// <summary>A request that cannot be opened is answered, so that a misconfiguration is reported, but its connection is closed.</summary>
    [Fact]
    public async Task Tcp_RequestWithAnotherKey_GetsAHeaderAndIsHungUpOn()
    {
        using var outsider = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await outsider.ConnectAsync(Attacked.LocalEndPoint, _deadline.Token);
        var packet = Overheard("replica-1");
        packet[PacketHeader.Length] ^= 1;

        await outsider.SendAsync(Framed(packet), _deadline.Token);

        var answer = await Membership.Transport.StreamFrame.ReadAsync(outsider, budget: null, _deadline.Token);
        Assert.Equal(PacketHeader.Length + 4, answer!.Length);
        Assert.Equal(0, await outsider.ReceiveAsync(new byte[1], _deadline.Token));
    }

    private long Dropped() => Enum.GetValues<DropCause>().Sum(Attacked.CountDropped);

    /// <summary>The first packet of that member's generation, as an attacker may have recorded it.</summary>
    private byte[] Overheard(string name)
    {
        var seal = new PacketSeal(PacketHeader.ClusterOf("skein"), MemberName.IdOf(name), Keys);
        var packet = new byte[200];
        var start = PacketHeader.Length + seal.Prefix;
        (packet[start], packet[start + 1]) = (8, (byte)Membership.Codec.PacketKind.Nack);
        return packet[..seal.Close(packet, start + 2, Attacked.Current.Find(name)!.Generation)];
    }

    private static byte[] Forged(byte[] packet)
    {
        packet[^1] ^= 1;
        return packet;
    }

    private static byte[] Framed(byte[] packet)
    {
        byte[] frame = [0, 0, 0, 0, .. packet];
        BinaryPrimitives.WriteInt32BigEndian(frame, packet.Length);
        return frame;
    }

    private async Task<IMembership> JoinAsync(string name)
    {
        var options = new MembershipOptions
        {
            Name = name,
            Bind = new IPEndPoint(IPAddress.Loopback, 0),
            Seeds = _members.Count == 0 ? [] : [Attacked.LocalEndPoint.ToString()],
            Keys = Keys,
        };
        var metadata = new MemberMetadata { Role = Roles.Replica };
        _members.Add(await MembershipService.StartAsync(options, metadata, TimeProvider.System, NullLoggerFactory.Instance, _deadline.Token));
        return _members[^1];
    }
}
