namespace Skein.Gateway.Tests.Peers;

/// <summary>Limits of the requests of a key that run at the same time.</summary>
public sealed class KeyPlacesTests
{
    private readonly GatewaysInVirtualTime _gateways = new();

    [Fact]
    public void Begin_StreamsAtAllGateways_AreNeverMoreThanTheLimit()
    {
        _gateways.Start(3, key => key with { Streams = 30 });

        var begun = _gateways.Run(TimeSpan.FromSeconds(5), step => _gateways.Ask(step % 3));
        Assert.Equal(30, begun);
        for (var i = 0; i < 10; i++)
            _gateways[0].Meter.End();

        Assert.Equal(10, _gateways.Run(TimeSpan.FromSeconds(10), _ => _gateways.Ask(2)) + _gateways.Run(TimeSpan.FromSeconds(1), _ => _gateways.Ask(0)));
    }

    /// <summary>Each gateway rounded its share up: with a limit of 4, six ran on three gateways.</summary>
    [Theory]
    [InlineData(1, 2)]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(4, 3)]
    [InlineData(5, 3)]
    [InlineData(7, 4)]
    public void Begin_StreamsThatDoNotDivide_AreTheLimitAndNeverMore(int limit, int gateways)
    {
        _gateways.Start(gateways, key => key with { Streams = limit });

        for (var i = 0; i < gateways; i++)
        {
            // All at the same moment, at all gateways, before and after exchanges.
            Assert.InRange(Enumerable.Range(0, limit * gateways).Sum(step => _gateways.Ask(step % gateways)), 0, limit);
            _gateways.Run(TimeSpan.FromSeconds(5), step => CheckedAsk(step % gateways));
            Assert.Equal(limit, _gateways.Running);
            _gateways.EndAll();
        }

        int CheckedAsk(int gateway)
        {
            var begun = _gateways.Ask(gateway);
            Assert.InRange(_gateways.Running, 0, limit);
            return begun;
        }
    }

    /// <summary>Streams begin and end all the time, and the load moves: a gateway must not grant what another one may still use.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(10)]
    public void Begin_LoadThatMoves_TheLimitRunsAtTheNewGateway(int limit)
    {
        _gateways.Start(3, key => key with { Streams = limit });
        var random = new Random(17);

        foreach (var gateway in (int[])[2, 1, 0, 2])
        {
            _gateways.Run(TimeSpan.FromSeconds(20), _ =>
            {
                _gateways.EndSome(random, 0.25);
                _gateways.Ask(gateway);
                Assert.InRange(_gateways.Running, 0, limit);
                return 0;
            });
            _gateways.Run(TimeSpan.FromSeconds(1), _ => _gateways.Ask(gateway));
            Assert.Equal(limit, _gateways[gateway].Meter.Read().Running);
        }
    }

    /// <summary>A load balancer in front: two in three of the requests of a key with one stream were refused, while nothing ran.</summary>
    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(3, 3)]
    [InlineData(1, 5)]
    public void Begin_OneRequestAtATimeAtGatewaysInTurn_IsNeverRefused(int limit, int gateways)
    {
        _gateways.Start(gateways, key => key with { Streams = limit });

        var asked = 0;
        var begun = _gateways.Run(TimeSpan.FromSeconds(60), step =>
        {
            _gateways.EndAll();
            asked++;
            return _gateways.AskWithPlaces(step % gateways);
        });

        Assert.Equal(asked, begun);
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(2, 3)]
    [InlineData(4, 3)]
    [InlineData(5, 4)]
    [InlineData(10, 2)]
    public void Begin_PlacesMoveAllTheTime_NeverMoreThanTheLimitRun(int limit, int gateways)
    {
        for (var seed = 1; seed <= 5; seed++)
        {
            var group = new GatewaysInVirtualTime();
            group.Start(gateways, key => key with { Streams = limit });
            var random = new Random(seed);
            var busiest = 0;

            group.Run(TimeSpan.FromSeconds(120), _ =>
            {
                // Phases in which few or many end.
                group.EndSome(random, random.Next(40) == 0 ? 1.0 : 0.05);
                group.AskWithPlaces(random.Next(gateways));
                Assert.InRange(group.Running, 0, limit);
                busiest = Math.Max(busiest, group.Running);
                return 0;
            });

            Assert.Equal(limit, busiest);
        }
    }

    [Fact]
    public void GivePlace_KeyThatIsUnknownOrNotLimited_GivesNone()
    {
        _gateways.Start(2, key => key);

        Assert.False(_gateways[0].Keys.GivePlace("k"));
        Assert.False(_gateways[0].Keys.GivePlace("stranger"));
        Assert.False(_gateways[0].Meter.NeedsPlace);
    }
}
