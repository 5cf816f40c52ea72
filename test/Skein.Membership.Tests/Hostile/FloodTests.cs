using Skein.Membership.Codec;
using Skein.Membership.Core;
using Skein.Membership.Tests.Core;
using Skein.Membership.Tests.Sockets;

namespace Skein.Membership.Tests.Hostile;

/// <summary>A million hostile datagrams through the whole receive path of a member, which continues to serve its group.</summary>
[Collection(AloneOnTheMachine.Name)]
public sealed class FloodTests
{
    private const int Datagrams = 1_000_000;
    private const int DatagramsAStep = 1_000;
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);
    private static readonly PeerAddress Attacker = PeerAddress.OfIPv4(0xC0A80001, 666);

    /// <summary>The runtime throws for a wrong tag: the bytes of an exception and a derived key, which are garbage at once.</summary>
    private const long MostBytesForAWrongTag = 4096;

    private readonly long[] _allocated = new long[HostileDatagrams.Kinds.Length];
    private readonly long[] _sent = new long[HostileDatagrams.Kinds.Length];
    private readonly long[] _dropped = new long[Enum.GetValues<DropCause>().Length];

    [Fact]
    public void Receive_AMillionHostileDatagrams_ChangeNothingAndLeaveNothingBehind()
    {
        var group = new DirectGroup(count: 3, GossipKeys.Parse(GossipKeys.NewKey()));
        var hostile = Listen(group);
        Flood(group, hostile, DatagramsAStep * 20);
        var before = Views.Of(group.First);
        var retained = GC.GetTotalMemory(forceFullCollection: true);
        (var timers, var delivered) = (group.First.PendingTimers, group.Delivered);
        Array.Clear(_allocated);
        Array.Clear(_sent);

        Flood(group, hostile, Datagrams);

        Assert.Equal(before, Views.Of(group.First));
        Assert.Equal(0, group.SentOutside);
        Assert.InRange(group.First.PendingTimers, 0, timers + 8);
        // Each member probes twice a second: the group continued meanwhile.
        Assert.True(group.Delivered - delivered > 3 * Datagrams / DatagramsAStep * Step.TotalSeconds, $"only {group.Delivered - delivered} genuine datagrams");
        AssertMemory(GC.GetTotalMemory(forceFullCollection: true) - retained);
        Assert.All(Enum.GetValues<DropCause>().Except([DropCause.None]), cause => Assert.True(_dropped[(int)cause] > 0, $"nothing was dropped as {cause}"));
        Assert.Equal(0, _dropped[(int)DropCause.None]);
    }

    private void AssertMemory(long grown)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"retained memory grew by {grown} bytes");
        foreach (var kind in HostileDatagrams.Kinds)
        {
            var each = _allocated[(int)kind] / _sent[(int)kind];
            TestContext.Current.TestOutputHelper?.WriteLine($"{kind}: {_sent[(int)kind]} datagrams, {each} bytes allocated for each");
            var isTagChecked = kind is Hostility.RandomBodyBehindAGenuineHeader or Hostility.Mutated or Hostility.Truncated
                or Hostility.WrongTagOfAKnownLife or Hostility.WrongTagOfAnUnknownLife;
            Assert.InRange(each, 0, isTagChecked ? MostBytesForAWrongTag : 0);
        }
        // One byte for each datagram: anything that a datagram leaves behind would be more.
        Assert.InRange(grown, long.MinValue, Datagrams);
    }

    /// <summary>Lets the group settle and records the datagrams to the attacked member.</summary>
    private static HostileDatagrams Listen(DirectGroup group)
    {
        var genuine = new List<byte[]>();
        group.Run(TimeSpan.FromMinutes(2), Step);
        group.ToFirst = (_, datagram) => genuine.Add(datagram.ToArray());
        group.Run(TimeSpan.FromMinutes(1), Step);
        group.ToFirst = null;
        Assert.NotEmpty(genuine);
        return new HostileDatagrams(genuine, seed: 1);
    }

    private void Flood(DirectGroup group, HostileDatagrams hostile, int count)
    {
        for (var i = 0; i < count; i++)
        {
            if (i % DatagramsAStep == 0)
                group.Run(Step, Step);
            var kind = HostileDatagrams.Kinds[i % HostileDatagrams.Kinds.Length];
            var datagram = hostile.Next(kind);
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var isTaken = group.First.Receive(Attacker, datagram, group.Now);
            _allocated[(int)kind] += GC.GetAllocatedBytesForCurrentThread() - allocated;
            _sent[(int)kind]++;
            _dropped[(int)group.First.LastDrop]++;
            if (isTaken)
                Assert.Fail($"{kind} was taken (seed=1, datagram {i}): {Convert.ToHexString(datagram)}");
        }
    }
}
