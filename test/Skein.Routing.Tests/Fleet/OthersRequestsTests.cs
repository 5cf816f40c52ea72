using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Fleet;

/// <summary>What a gateway learns of the requests that other gateways send to a replica.</summary>
public sealed class OthersRequestsTests
{
    private readonly Skein.Routing.Fleet.Replica _replica = new(Replica("a"));
    private ulong _sequence;

    [Fact]
    public void Report_RequestsOfOthersSinceTheLastOne_CountAsRecent()
    {
        Report(0, begun: 100, ofMine: 20);
        Assert.Equal((0, true), (RecentAt(0), _replica.HasOthers));

        Report(1, begun: 107, ofMine: 22);
        Assert.Equal(5, RecentAt(1));
        Report(30, begun: 110, ofMine: 22);
        Assert.Equal(8, RecentAt(30));
        Assert.Equal(3, RecentAt(65));
    }

    [Fact]
    public void Report_OneGatewayOnly_HasNoOthers()
    {
        Report(0, begun: 3, ofMine: 3);
        Report(1, begun: 4, ofMine: 4);

        Assert.Equal((0, false), (RecentAt(1), _replica.HasOthers));
    }

    /// <summary>Members of the release before report neither; a hostile one reports anything.</summary>
    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, ulong.MaxValue)]
    [InlineData(ulong.MaxValue, 0)]
    public void Report_AnyNumbers_StayWithinBounds(ulong begun, ulong ofMine)
    {
        Report(0, begun: 0, ofMine: 0);
        for (var i = 1; i < 3000; i++)
            Report(1, i % 2 == 0 ? 0 : begun, ofMine);

        Assert.InRange(RecentAt(1), 0, 10_000_000);
    }

    private int RecentAt(int second) => _replica.Recent.CountAt(RecentPicks.BucketOf(TimeSpan.FromSeconds(second)));

    private void Report(int second, ulong begun, ulong ofMine) => _replica.Report(
        new LoadReport { Generation = 1, Sequence = ++_sequence, Slots = 4, Begun = begun, BegunForCaller = ofMine }, TimeSpan.FromSeconds(second));
}
