using Skein.Membership.Core;
using Skein.Membership.Tests.Core;
using Skein.Membership.Codec;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Hostile;

/// <summary>Genuine packets of the past are replayed after the group has changed.</summary>
public sealed class ReplayTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly PeerAddress Attacker = PeerAddress.OfIPv4(0xC0A80001, 666);

    /// <summary>Without keys a copy is indistinguishable: the order of generations and incarnations alone must protect the view.</summary>
    [Theory]
    [InlineData("in order")]
    [InlineData("backwards")]
    [InlineData("shuffled")]
    public void Clear_PastOfThisAndEarlierGenerations_RevertsNothingAndAccusesNobody(string order)
    {
        var world = new MembershipWorld(seed: 21, ProtocolOptions.Lan);
        (var datagrams, var states) = Live(world);
        var attacked = world.Members[0];
        var before = Views.Of(attacked.Core);
        byte[][] replay = order switch
        {
            "in order" => [.. datagrams],
            "backwards" => [.. Enumerable.Reverse(datagrams)],
            _ => [.. datagrams.OrderBy(_ => world.Random.NextUInt64())],
        };

        var sent = attacked.SentBytes;
        foreach (var datagram in replay)
            world.Do(attacked, (core, now) => core.Receive(Attacker, datagram, now));
        sent = attacked.SentBytes - sent;
        foreach (var state in states)
            world.Do(attacked, (core, now) => core.ExchangeEnded(new ExchangeToken(ExchangePurpose.AntiEntropy, 0), ExchangeOutcome.Replied, Attacker, state, now));

        Assert.True(replay.Length > 900 && states.Count > 5, $"only {replay.Length} datagrams and {states.Count} states were recorded");
        TestContext.Current.TestOutputHelper?.WriteLine($"{sent} bytes were answered to {replay.Sum(static datagram => datagram.Length)}");
        Assert.InRange(sent, 0, replay.Sum(static datagram => datagram.Length));
        Assert.Equal(before, Views.Of(attacked.Core));
        world.RunFor(20 * Second);
        Assert.True(world.Agree(), "the views differ afterwards");
        Assert.Equal(before, Views.Of(attacked.Core));
    }

    [Fact]
    public void Clear_PacketsOfAnOldGenerationRepeatedly_AreCorrectedOncePerPeriod()
    {
        var world = new MembershipWorld(seed: 22, ProtocolOptions.Lan);
        (var datagrams, _) = Live(world);
        var attacked = world.Members[0];
        var oldMember = world.Members[2];
        var gossip = datagrams.First(datagram => IsGossipOf(oldMember, datagram));
        var sent = attacked.SentPackets;

        for (var i = 0; i < 10_000; i++)
            world.Do(attacked, (core, now) => core.Receive(Attacker, gossip, now));

        Assert.InRange(attacked.SentPackets - sent, 0, 1);
    }

    /// <summary>With keys a copy is dropped without an answer, whatever its receiver and purpose.</summary>
    [Fact]
    public void Sealed_WholePastOfThisGeneration_IsDroppedWithoutAnAnswer()
    {
        var group = new DirectGroup(count: 3, GossipKeys.Parse(GossipKeys.NewKey()));
        var past = new List<byte[]>();
        group.ToFirst = (_, datagram) => past.Add(datagram.ToArray());
        group.Run(TimeSpan.FromMinutes(5), TimeSpan.FromMilliseconds(10));
        group.ToFirst = null;
        var before = Views.Of(group.First);

        for (var round = 0; round < 10; round++)
            foreach (var datagram in past)
            {
                Assert.False(group.First.Receive(Attacker, datagram, group.Now));
                Assert.Equal(DropCause.Replayed, group.First.LastDrop);
            }

        Assert.True(past.Count > 500, $"only {past.Count} datagrams were recorded");
        Assert.Equal(before, Views.Of(group.First));
        Assert.Equal(0, group.SentOutside);
    }

    /// <summary>A recorded datagram is not accepted as a TCP request, and a recorded TCP request is not accepted again.</summary>
    [Fact]
    public void Sealed_PastOfThisGenerationOverTcp_GetsNoAnswerAndNoPlace()
    {
        var group = new DirectGroup(count: 3, GossipKeys.Parse(GossipKeys.NewKey()));
        var past = new List<byte[]>();
        group.ToFirst = (_, datagram) => past.Add(datagram.ToArray());
        group.RequestToFirst = request => past.Add(request.ToArray());
        group.SynchronizeWithFirst();
        var requests = past.Count;
        group.Run(TimeSpan.FromMinutes(1), TimeSpan.FromMilliseconds(10));
        (group.ToFirst, group.RequestToFirst) = (null, null);
        var before = Views.Of(group.First);

        foreach (var packet in past)
        {
            Assert.True(group.First.Serve(Attacker, packet, group.Now, out var mayStay).IsEmpty);
            Assert.False(mayStay);
            Assert.Equal(DropCause.Replayed, group.First.LastDrop);
        }

        Assert.True(requests == 2 && past.Count > 100, $"only {requests} requests and {past.Count} packets were recorded");
        Assert.Equal(before, Views.Of(group.First));
    }

    /// <summary>A new generation has not received the past packets: they are accepted once and change nothing.</summary>
    [Fact]
    public void Sealed_PastOfAnEarlierGeneration_ChangesNothingAndIsAnsweredAtMostOnce()
    {
        var group = new DirectGroup(count: 3, GossipKeys.Parse(GossipKeys.NewKey()));
        var past = new List<byte[]>();
        group.ToFirst = (_, datagram) => past.Add(datagram.ToArray());
        group.Run(TimeSpan.FromMinutes(5), TimeSpan.FromMilliseconds(10));
        group.ToFirst = null;
        group.RestartFirst();
        group.Run(TimeSpan.FromMinutes(1), TimeSpan.FromMilliseconds(10));
        var before = Views.Of(group.First);
        Assert.Equal(3, group.LiveAtFirst);

        past.ForEach(datagram => group.First.Receive(Attacker, datagram, group.Now));
        var answers = group.SentOutside;
        past.ForEach(datagram => group.First.Receive(Attacker, datagram, group.Now));

        Assert.InRange(answers, 0, past.Count);
        Assert.Equal(answers, group.SentOutside);
        group.Run(TimeSpan.FromMinutes(1), TimeSpan.FromMilliseconds(10));
        Assert.Equal(before, Views.Of(group.First));
    }

    /// <summary>Joins, updates, a crash and a return, a long pause with its refutation, and a leave; then the group is idle.</summary>
    private static (List<byte[]> Datagrams, List<byte[]> States) Live(MembershipWorld world)
    {
        var datagrams = new List<byte[]>();
        var states = new List<byte[]>();
        world.Sent = datagram => datagrams.Add(datagram.ToArray());
        world.StartMany(6);
        world.RunFor(3 * Second);
        Remember(world, states);
        world.Do(world.Members[1], static (core, now) => core.UpdateMetadata([1, 2, 3], now));
        world.Do(world.Members[1], static (core, now) => core.UpdateLoad(3, 4, now));
        world.RunFor(3 * Second);
        var old = world.Members[2];
        old.Crashed = true;
        world.RunFor(3 * Second);
        Remember(world, states);
        var next = world.Start(old.Name, at: old, world.Members[0]);
        world.RunFor(3 * Second);
        world.Members[4].RunsFrom = world.Now + 1.5 * Second;
        world.RunFor(3 * Second);
        Remember(world, states);
        world.Members[4].RunsFrom = world.Now + 10 * Second;
        world.RunFor(20 * Second);
        world.Do(world.Members[5], static (core, now) => core.Leave(now));
        world.Do(world.Members[1], static (core, now) => core.UpdateMetadata([4], now));
        world.Do(next, static (core, now) => core.UpdateLoad(1, 0, now));
        world.RunFor(20 * Second);
        world.Sent = static _ => { };
        Assert.True(world.Agree(), "the group has not settled");
        Assert.True(world.Members[4].Core.Table.Self.Incarnation > 0, "nobody was ever accused");
        return (datagrams, states);
    }

    /// <summary>The full state that every member would send to a new member now.</summary>
    private static void Remember(MembershipWorld world, List<byte[]> states)
    {
        foreach (var member in world.Running)
            world.Do(member, (core, now) => states.Add(core.Serve(Attacker, Pull(), now, out _).ToArray()));
    }

    private static byte[] Pull()
    {
        var packet = new byte[PacketHeader.Length + 2];
        new PacketHeader(PacketHeader.ClusterOf("simulation"), Sender: 1, Generation: 1, Sealed: false).WriteTo(packet);
        packet[PacketHeader.Length] = 8;
        packet[^1] = (byte)PacketKind.Pull;
        return packet;
    }

    private static bool IsGossipOf(SimulatedMember member, byte[] datagram) =>
        PacketHeader.Read(datagram, out var header) == DropCause.None
        && header.Sender == member.Id && header.Generation == member.Core.Table.Self.Generation
        && PacketBody.TryRead(datagram.AsSpan(PacketHeader.Length), out var body) && body.Kind == PacketKind.Gossip;
}
