using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Membership.Transport;
using Skein.Membership.Codec;
using Skein.Protocol.V1;
using PacketKind = Skein.Membership.Codec.PacketKind;

namespace Skein.Membership.Tests.Sockets;

/// <summary>TCP connections to a member: replies, limits and duration.</summary>
public sealed class StreamTests : IDisposable
{
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60), TimeProvider.System);
    private readonly List<Socket> _sockets = [];

    public void Dispose()
    {
        _sockets.ForEach(static socket => socket.Dispose());
        _deadline.Dispose();
    }

    [Fact]
    public async Task MonitoringConnections_AboveTheLimit_TheOldestIsClosedAndANewMemberStillJoins()
    {
        await using var watched = await StartAsync("m-1", seed: null);
        var oldest = await MonitorAsync(watched);

        for (var i = 0; i < 300; i++)
            await MonitorAsync(watched);

        await EndAsync(oldest);
        await using var joining = await StartAsync("m-2", watched);
        await Group.WaitAsync(watched, "m-2", static member => member.IsLive, _deadline.Token);
    }

    [Fact]
    public async Task StateRequest_Answered_IsClosed()
    {
        await using var asked = await StartAsync("m-1", seed: null);

        var asker = await AskAsync(asked, Packet(asked, PacketKind.Pull));

        await EndAsync(asker);
    }

    [Fact]
    public async Task Read_BudgetOfIncompleteBytesExhausted_IsRefusedAndReturnsItsShare()
    {
        (var sender, var receiver) = await PairAsync();
        var budget = new ByteBudget(10_000);
        var frame = new byte[4 + 20_000];
        BinaryPrimitives.WriteInt32BigEndian(frame, 20_000);
        await sender.SendAsync(frame, _deadline.Token);

        Assert.Null(await StreamFrame.ReadAsync(receiver, budget, _deadline.Token));

        Assert.True(budget.TryTake(10_000));
        Assert.False(budget.TryTake(1));
    }

    [Fact]
    public async Task Read_WithinTheBudget_ReturnsItsShare()
    {
        (var sender, var receiver) = await PairAsync();
        var budget = new ByteBudget(16_000);
        await StreamFrame.WriteAsync(sender, new byte[20_000], _deadline.Token);

        Assert.Equal(20_000, (await StreamFrame.ReadAsync(receiver, budget, _deadline.Token))!.Length);

        Assert.True(budget.TryTake(16_000));
    }

    [Fact]
    public async Task UpdateLoad_SameAsBefore_AllocatesNothing()
    {
        await using var member = await StartAsync("m-1", seed: null);
        member.UpdateLoad(inFlight: 3, queued: 0);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            member.UpdateLoad(inFlight: 3, queued: 0);

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    /// <summary>A connection that carried a ping, was answered and stays open.</summary>
    private Task<Socket> MonitorAsync(IMembership watched) => AskAsync(watched, Packet(watched, PacketKind.Ping));

    private async Task<Socket> AskAsync(IMembership asked, byte[] request)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(socket);
        await socket.ConnectAsync(asked.LocalEndPoint, _deadline.Token);
        await StreamFrame.WriteAsync(socket, request, _deadline.Token);
        Assert.NotNull(await StreamFrame.ReadAsync(socket, budget: null, _deadline.Token));
        return socket;
    }

    /// <summary>Waits until the other side closes or resets the connection.</summary>
    private async Task EndAsync(Socket socket)
    {
        try
        {
            Assert.Equal(0, await socket.ReceiveAsync(new byte[1], _deadline.Token));
        }
        catch (SocketException error)
        {
            Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
        }
    }

    private static byte[] Packet(IMembership to, PacketKind kind)
    {
        var packet = new byte[WireLimits.Datagram];
        new PacketHeader(PacketHeader.ClusterOf("skein"), Sender: 1, Generation: 1, Sealed: false).WriteTo(packet);
        var writer = new ProtoWriter(packet, PacketHeader.Length);
        writer.Varint(1, (uint)kind);
        writer.Varint(2, 1);
        writer.Fixed64(3, MemberName.IdOf(to.Current.Self.Name));
        return packet[..writer.Position];
    }

    private async Task<(Socket Sender, Socket Receiver)> PairAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var sender = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _sockets.Add(sender);
        await sender.ConnectAsync(listener.LocalEndPoint!, _deadline.Token);
        var receiver = await listener.AcceptAsync(_deadline.Token);
        _sockets.Add(receiver);
        return (sender, receiver);
    }

    private Task<IMembership> StartAsync(string name, IMembership? seed)
    {
        var options = new MembershipOptions
        {
            Name = name,
            Bind = new IPEndPoint(IPAddress.Loopback, 0),
            Seeds = seed is null ? [] : [seed.LocalEndPoint.ToString()],
        };
        return MembershipService.StartAsync(options, new MemberMetadata(), TimeProvider.System, NullLoggerFactory.Instance, _deadline.Token);
    }
}
