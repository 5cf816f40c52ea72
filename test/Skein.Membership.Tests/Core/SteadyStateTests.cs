using Skein.Membership.Codec;
using Skein.Membership.Core;
using Skein.Membership.Transport;

namespace Skein.Membership.Tests.Core;

/// <summary>An idle group does not allocate: neither the core, with or without keys, nor the socket.</summary>
public sealed class SteadyStateTests
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Core_AtRest_AllocatesNothing(bool isSealed)
    {
        var keys = isSealed ? GossipKeys.Parse(GossipKeys.NewKey()) : GossipKeys.None;
        var group = new DirectGroup(count: 3, keys);
        group.Run(TimeSpan.FromMinutes(5), Step);
        Assert.Equal(3, group.LiveAtFirst);
        var handled = group.Delivered;
        var before = GC.GetAllocatedBytesForCurrentThread();

        group.Run(TimeSpan.FromMinutes(10), Step);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.InRange(group.Delivered - handled, 3 * 2 * 590, long.MaxValue);
    }

    [Fact]
    public void Port_SendAndReceive_AllocatesNothing()
    {
        using var port = GossipPort.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        var self = PeerAddress.From(port.EndPoint);
        var buffer = new byte[100];
        RoundTrips(port, self, buffer, count: 100);
        var before = GC.GetAllocatedBytesForCurrentThread();

        var received = RoundTrips(port, self, buffer, count: 1000);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(1000, received);
    }

    private static int RoundTrips(GossipPort port, PeerAddress self, byte[] buffer, int count)
    {
        var received = 0;
        for (var i = 0; i < count; i++)
            if (port.TrySend(self, buffer) && port.Wait(TimeSpan.FromSeconds(5)) && port.TryReceive(buffer, out var length, out var from))
                received += length == buffer.Length && from == self ? 1 : 0;
        return received;
    }
}
