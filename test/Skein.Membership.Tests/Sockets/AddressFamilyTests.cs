using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Skein.Membership.Codec;
using Skein.Membership.Core;
using Skein.Membership.Transport;
using Skein.Protocol.V1;
using MemberUpdate = Skein.Membership.Codec.MemberUpdate;
using PacketKind = Skein.Membership.Codec.PacketKind;

namespace Skein.Membership.Tests.Sockets;

/// <summary>A member that listens on IPv4 cannot reach IPv6 addresses: it says so, and sends nothing to any other address instead.</summary>
public sealed class AddressFamilyTests : IDisposable
{
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(30), TimeProvider.System);

    /// <summary>2001:db8::7f00:1: the low 32 bits are 127.0.0.1.</summary>
    private static PeerAddress IPv6Peer(int port) => PeerAddress.From(new IPEndPoint(IPAddress.Parse("2001:db8::7f00:1"), port));

    public void Dispose() => _deadline.Dispose();

    [Theory]
    [InlineData("[::1]:7946")]
    [InlineData("::1")]
    public async Task Start_IPv6SeedOnAnIPv4Bind_StartsAloneAndReportsWhy(string seed)
    {
        await using var member = await StartAsync(new LogLines(), seed);

        var snapshot = member.Current;
        while (snapshot.Seeds[0].Problem is null)
            snapshot = await member.WaitForChangeAsync(snapshot.Version, _deadline.Token);
        Assert.Contains("no IPv4 address", snapshot.Seeds[0].Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_IPv4SeedInIPv6Form_IsReached()
    {
        await using var first = await StartAsync(new LogLines());

        await using var second = await StartAsync(new LogLines(), $"[::ffff:127.0.0.1]:{first.LocalEndPoint.Port}");

        await Group.WaitAsync(second, "m-1", static member => member.IsLive, _deadline.Token);
    }

    [Fact]
    public void TrySend_IPv6PeerOnAnIPv4Port_IsRefusedAndSendsNothingToTheLow32Bits()
    {
        using var sender = GossipPort.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var receiver = GossipPort.Bind(new IPEndPoint(IPAddress.Loopback, 0));

        Assert.False(sender.TrySend(IPv6Peer(receiver.EndPoint.Port), [1, 1, 1]));
        Assert.True(sender.TrySend(PeerAddress.From(receiver.EndPoint), [2, 2]));

        Assert.True(receiver.Wait(TimeSpan.FromSeconds(10)));
        Assert.True(receiver.TryReceive(new byte[16], out var length, out _));
        Assert.Equal(2, length);
    }

    [Fact]
    public async Task Join_MemberAtAnIPv6Address_IsLoggedAsAnErrorThatNamesIt()
    {
        var log = new LogLines();
        await using var member = await StartAsync(log);

        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(member.LocalEndPoint, _deadline.Token);
        await StreamFrame.WriteAsync(socket, PushPullOf("far", IPv6Peer(7946)), _deadline.Token);
        await StreamFrame.ReadAsync(socket, budget: null, _deadline.Token);
        await Group.WaitAsync(member, "far", static seen => seen.IsLive, _deadline.Token);

        var error = Assert.Single(log.Lines, static line => line.Level == LogLevel.Error);
        Assert.Contains("far", error.Text, StringComparison.Ordinal);
        Assert.Contains("[2001:db8::7f00:1]:7946", error.Text, StringComparison.Ordinal);
        Assert.Contains("IPv4", error.Text, StringComparison.Ordinal);
    }

    private static byte[] PushPullOf(string name, PeerAddress address)
    {
        var packet = new byte[WireLimits.Datagram];
        new PacketHeader(PacketHeader.ClusterOf("skein"), MemberName.IdOf(name), Generation: 1, Sealed: false).WriteTo(packet);
        var writer = new ProtoWriter(packet, PacketHeader.Length);
        writer.Varint(1, (uint)PacketKind.PushPull);
        new MemberUpdate
        {
            Id = MemberName.IdOf(name), Generation = 1, State = MemberState.Alive, Name = System.Text.Encoding.ASCII.GetBytes(name), Address = address,
        }.WriteTo(ref writer, PacketBody.UpdatesField);
        return packet[..writer.Position];
    }

    private async Task<IMembership> StartAsync(LogLines log, params string[] seeds)
    {
        var options = new MembershipOptions { Name = seeds.Length == 0 ? "m-1" : "m-2", Bind = new IPEndPoint(IPAddress.Loopback, 0), Seeds = seeds };
        return await MembershipService.StartAsync(options, new MemberMetadata(), TimeProvider.System, log, _deadline.Token);
    }

    private sealed class LogLines : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<(LogLevel Level, string Text)> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue((logLevel, formatter(state, exception)));

        public void Dispose()
        {
        }
    }
}
