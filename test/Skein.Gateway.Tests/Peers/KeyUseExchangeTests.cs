using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Keys;
using Skein.Gateway.Peers;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Peers;

/// <summary>Several gateways with the same keys in virtual time. Each asks the others once a second, at a moment of its own.</summary>
public sealed class KeyUseExchangeTests
{
    private const int Limit = 600;

    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    private readonly FakeTimeProvider _time = new();
    private readonly List<Gateway> _gateways = [];
    private int _steps;

    /// <summary>Each gateway counted on its own: a client had its limit once per gateway.</summary>
    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    public void Begin_MoreThanTheLimitAtOneGatewayThenAtAnother_IsTheLimitPerMinute(int first, int second)
    {
        Start(3, key => key with { RequestsPerMinute = Limit });
        Run(TimeSpan.FromSeconds(60), _ => Ask(first));

        var before = Run(TimeSpan.FromSeconds(60), _ => Ask(first));
        var after = Run(TimeSpan.FromSeconds(60), _ => Ask(second));

        Assert.InRange(before, Limit * 0.9, Limit * 1.1);
        Assert.InRange(after, Limit * 0.9, Limit * 1.1);
    }

    [Fact]
    public void Begin_MoreThanTheLimitAtAllGateways_IsTheLimitPerMinute()
    {
        Start(3, key => key with { RequestsPerMinute = Limit });

        var first = Run(TimeSpan.FromSeconds(60), step => Ask(step % 3));
        var second = Run(TimeSpan.FromSeconds(60), step => Ask(step % 3));

        Assert.InRange(first, Limit * 0.9, Limit * 1.1);
        Assert.InRange(second, Limit * 0.9, Limit * 1.1);
    }

    /// <summary>All requests of a minute at the same moment, at all gateways: no gateway knows of the others' yet.</summary>
    [Fact]
    public void Begin_BurstBetweenTwoExchanges_IsNotMoreThanTheLimit()
    {
        Start(3, key => key with { RequestsPerMinute = Limit });

        var admitted = Enumerable.Range(0, 3 * Limit).Sum(i => Ask(i % 3));

        Assert.InRange(admitted, Limit * 0.9, Limit * 1.1);
    }

    [Fact]
    public void Charge_TokensAtOneGatewayThenAtAnother_AreTheLimitPerMinute()
    {
        const int tokens = 10;
        Start(3, key => key with { TokensPerMinute = Limit * tokens });
        int AskAndCharge(int gateway)
        {
            if (Ask(gateway) == 0)
                return 0;
            _gateways[gateway].Meter.Charge(tokens);
            return tokens;
        }

        Run(TimeSpan.FromSeconds(60), _ => AskAndCharge(0));
        var before = Run(TimeSpan.FromSeconds(60), _ => AskAndCharge(0));
        var after = Run(TimeSpan.FromSeconds(60), _ => AskAndCharge(2));

        Assert.InRange(before, Limit * tokens * 0.9, Limit * tokens * 1.1);
        Assert.InRange(after, Limit * tokens * 0.9, Limit * tokens * 1.1);
    }

    /// <summary>A limit that is smaller than the number of gateways would have no whole request for any of them.</summary>
    [Fact]
    public void Begin_OneRequestPerMinute_IsAdmittedAtTheFirstGatewayThatIsAsked()
    {
        Start(3, key => key with { RequestsPerMinute = 1 });

        Assert.Equal(1, Ask(1));
        Run(TimeSpan.FromSeconds(2), _ => 0);

        Assert.Equal(0, Ask(0) + Ask(1) + Ask(2));
    }

    [Fact]
    public void Begin_StreamsAtAllGateways_AreNeverMoreThanTheLimit()
    {
        Start(3, key => key with { Streams = 30 });

        var begun = Run(TimeSpan.FromSeconds(5), step => Ask(step % 3));
        Assert.Equal(30, begun);
        for (var i = 0; i < 10; i++)
            _gateways[0].Meter.End();

        Assert.Equal(10, Run(TimeSpan.FromSeconds(10), _ => Ask(2)) + Run(TimeSpan.FromSeconds(1), _ => Ask(0)));
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
        Start(gateways, key => key with { Streams = limit });

        for (var i = 0; i < gateways; i++)
        {
            // All at the same moment, at all gateways, before and after exchanges.
            Assert.InRange(Enumerable.Range(0, limit * gateways).Sum(step => Ask(step % gateways)), 0, limit);
            Run(TimeSpan.FromSeconds(5), step => CheckedAsk(step % gateways));
            Assert.Equal(limit, Running);
            EndAll();
        }

        int CheckedAsk(int gateway)
        {
            var begun = Ask(gateway);
            Assert.InRange(Running, 0, limit);
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
        Start(3, key => key with { Streams = limit });
        var random = new Random(17);

        foreach (var gateway in (int[])[2, 1, 0, 2])
        {
            Run(TimeSpan.FromSeconds(20), _ =>
            {
                foreach (var other in _gateways.Where(other => other.Meter.Read().Running > 0 && random.Next(4) == 0))
                    other.Meter.End();
                Ask(gateway);
                Assert.InRange(Running, 0, limit);
                return 0;
            });
            Run(TimeSpan.FromSeconds(1), _ => Ask(gateway));
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
        Start(gateways, key => key with { Streams = limit });

        var asked = 0;
        var begun = Run(TimeSpan.FromSeconds(60), step =>
        {
            EndAll();
            asked++;
            return AskWithPlaces(step % gateways);
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
            _gateways.Clear();
            Start(gateways, key => key with { Streams = limit });
            var random = new Random(seed);
            var busiest = 0;

            Run(TimeSpan.FromSeconds(120), _ =>
            {
                // Phases in which few or many end.
                var ends = random.Next(40) == 0 ? 1.0 : 0.05;
                foreach (var gateway in _gateways.Where(gateway => gateway.Meter.Read().Running > 0 && random.NextDouble() < ends))
                    gateway.Meter.End();
                AskWithPlaces(random.Next(gateways));
                Assert.InRange(Running, 0, limit);
                busiest = Math.Max(busiest, Running);
                return 0;
            });

            Assert.Equal(limit, busiest);
        }
    }

    [Fact]
    public void GivePlace_KeyThatIsUnknownOrNotLimited_GivesNone()
    {
        Start(2, key => key);

        Assert.False(_gateways[0].Keys.GivePlace("k"));
        Assert.False(_gateways[0].Keys.GivePlace("stranger"));
        Assert.False(_gateways[0].Meter.NeedsPlace);
    }

    [Fact]
    public void Use_GatewayThatDies_GivesItsShareToTheOthers()
    {
        Start(2, key => key with { RequestsPerMinute = Limit });
        Run(TimeSpan.FromSeconds(60), _ => Ask(0));
        _gateways[0].IsDead = true;
        Run(TimeSpan.FromSeconds(2), _ => 0);

        Assert.InRange(Run(TimeSpan.FromSeconds(60), _ => Ask(1)), Limit * 0.9, Limit * 1.1);
        Assert.Equal(1, KeyShare.Of(0, 0, gateways: 1));
    }

    /// <summary>A gateway that is started while the others have used the limit must not begin with all of it.</summary>
    [Fact]
    public void Use_GatewayThatStarts_BeginsWithWhatTheOthersHaveLeft()
    {
        Start(2, key => key with { RequestsPerMinute = Limit, TokensPerDay = 1_000 });
        Run(TimeSpan.FromSeconds(60), _ => Ask(0));
        _gateways[0].Meter.Charge(900);

        Start(1, key => key with { RequestsPerMinute = Limit, TokensPerDay = 1_000 });
        Run(TimeSpan.FromSeconds(1), _ => 0);

        Assert.InRange(_gateways[2].Meter.Report()!.RequestsLeft, 0, Limit * 0.1);
        Assert.InRange(_gateways[2].Meter.Report()!.DayTokensLeft, 99, 101);
    }

    /// <summary>The use of a gateway that answers again was charged twice.</summary>
    [Fact]
    public void Use_GatewayThatDidNotAnswerForAWhile_IsChargedOnce()
    {
        Start(2, key => key with { RequestsPerMinute = Limit });
        Run(TimeSpan.FromSeconds(2), _ => 0);
        _gateways[0].IsSilent = true;
        for (var i = 0; i < 100; i++)
            Ask(0);
        Run(TimeSpan.FromSeconds(3), _ => 0);
        _gateways[0].IsSilent = false;

        Run(TimeSpan.FromSeconds(1), _ => 0);

        var (one, other) = (_gateways[0].Meter.Report()!.RequestsLeft, _gateways[1].Meter.Report()!.RequestsLeft);
        Assert.InRange(other, one - 35, one + 1);
    }

    [Fact]
    public void Use_HostileReport_ChangesNoOtherKeyAndNoLevelUpwards()
    {
        Start(1, key => key with { RequestsPerMinute = Limit });
        Ask(0);
        var report = new KeyUseReport { Instance = 7 };
        report.Keys.Add(new KeyUseRow { Name = "stranger", Requests = ulong.MaxValue, Demand = double.NaN });
        report.Keys.Add(new KeyUseRow { Name = "k", Requests = ulong.MaxValue, Demand = double.PositiveInfinity, RequestsLeft = double.NaN });

        _gateways[0].Exchange.Use("gateway-0", new Dictionary<string, KeyUseReport?> { ["g"] = report });
        report.Keys[1].Requests = 0;
        _gateways[0].Exchange.Use("gateway-0", new Dictionary<string, KeyUseReport?> { ["g"] = report });

        Assert.InRange(_gateways[0].Meter.Report()!.RequestsLeft, Limit - 1, Limit);
        Assert.Single(_gateways[0].Keys.Uses);
    }

    private void Start(int gateways, Func<ApiKey, ApiKey> with)
    {
        for (var i = 0; i < gateways; i++)
            _gateways.Add(new Gateway($"gateway-{_gateways.Count}", (ulong)_gateways.Count, with, _time));
        // All know how many there are.
        foreach (var gateway in _gateways)
            Exchange(gateway);
    }

    private int Running => _gateways.Sum(gateway => gateway.Meter.Read().Running);

    private void EndAll()
    {
        foreach (var gateway in _gateways)
        {
            while (gateway.Meter.Read().Running > 0)
                gateway.Meter.End();
        }
    }

    /// <summary>Asks, and takes a place of another gateway before if it helps.</summary>
    private int AskWithPlaces(int gateway)
    {
        if (_gateways[gateway].Meter.NeedsPlace && _gateways.Where(other => other != _gateways[gateway]).Any(other => other.Keys.GivePlace("k")))
            _gateways[gateway].Meter.TakePlace();
        return Ask(gateway);
    }

    private int Ask(int gateway) => _gateways[gateway].Meter.Begin("m") is null ? 1 : 0;

    /// <returns>Sum of what each step returned.</returns>
    private int Run(TimeSpan duration, Func<int, int> step)
    {
        var sum = 0;
        for (var left = duration; left > TimeSpan.Zero; left -= Step, _steps++)
        {
            _time.Advance(Step);
            for (var i = 0; i < _gateways.Count; i++)
            {
                if (_steps % 100 == 30 * i)
                    Exchange(_gateways[i]);
            }
            // Four times the limit.
            if (_steps % 5 is 0 or 2)
                sum += step(_steps / 5) + step((_steps / 5) + 1);
        }
        return sum;
    }

    private void Exchange(Gateway gateway)
    {
        if (!gateway.IsDead)
        {
            gateway.Exchange.Use(gateway.Name, _gateways.Where(other => other != gateway && !other.IsDead)
                .ToDictionary(other => other.Name, other => other.IsSilent ? null : other.Exchange.Report()));
        }
    }

    private sealed class Gateway
    {
        private readonly ApiKey _key;

        public Gateway(string name, ulong instance, Func<ApiKey, ApiKey> with, TimeProvider time)
        {
            _key = with(new ApiKey { Name = "k", Hash = ApiKey.HashOf("secret of this key") });
            Name = name;
            Keys = new ApiKeyStore(time);
            Keys.Use(new ApiKeyRing([_key]));
            Exchange = new KeyUseExchange(Keys, instance);
        }

        public string Name { get; }

        public ApiKeyStore Keys { get; }

        public KeyUseExchange Exchange { get; }

        public KeyMeter Meter => Keys.MeterOf(_key);

        public bool IsDead { get; set; }

        public bool IsSilent { get; set; }
    }
}
