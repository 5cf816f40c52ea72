using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Keys;
using Skein.Gateway.Peers;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Peers;

/// <summary>Limits of what a key uses over time.</summary>
public sealed class KeyUseExchangeTests
{
    private const int Limit = 600;

    private readonly GatewaysInVirtualTime _gateways = new();

    /// <summary>Each gateway counted on its own: a client had its limit once per gateway.</summary>
    [Theory]
    [InlineData(0, 0)]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    public void Begin_MoreThanTheLimitAtOneGatewayThenAtAnother_IsTheLimitPerMinute(int first, int second)
    {
        _gateways.Start(3, key => key with { RequestsPerMinute = Limit });
        _gateways.Run(TimeSpan.FromSeconds(60), _ => _gateways.Ask(first));

        var before = _gateways.Run(TimeSpan.FromSeconds(60), _ => _gateways.Ask(first));
        var after = _gateways.Run(TimeSpan.FromSeconds(60), _ => _gateways.Ask(second));

        Assert.InRange(before, Limit * 0.9, Limit * 1.1);
        Assert.InRange(after, Limit * 0.9, Limit * 1.1);
    }

    [Fact]
    public void Begin_MoreThanTheLimitAtAllGateways_IsTheLimitPerMinute()
    {
        _gateways.Start(3, key => key with { RequestsPerMinute = Limit });

        var first = _gateways.Run(TimeSpan.FromSeconds(60), step => _gateways.Ask(step % 3));
        var second = _gateways.Run(TimeSpan.FromSeconds(60), step => _gateways.Ask(step % 3));

        Assert.InRange(first, Limit * 0.9, Limit * 1.1);
        Assert.InRange(second, Limit * 0.9, Limit * 1.1);
    }

    /// <summary>All requests of a minute at the same moment, at all gateways: no gateway knows of the others' yet.</summary>
    [Fact]
    public void Begin_BurstBetweenTwoExchanges_IsNotMoreThanTheLimit()
    {
        _gateways.Start(3, key => key with { RequestsPerMinute = Limit });

        var admitted = Enumerable.Range(0, 3 * Limit).Sum(i => _gateways.Ask(i % 3));

        Assert.InRange(admitted, Limit * 0.9, Limit * 1.1);
    }

    [Fact]
    public void Charge_TokensAtOneGatewayThenAtAnother_AreTheLimitPerMinute()
    {
        const int tokens = 10;
        _gateways.Start(3, key => key with { TokensPerMinute = Limit * tokens });
        int AskAndCharge(int gateway)
        {
            if (_gateways.Ask(gateway) == 0)
                return 0;
            _gateways[gateway].Meter.Charge(tokens);
            return tokens;
        }

        _gateways.Run(TimeSpan.FromSeconds(60), _ => AskAndCharge(0));
        var before = _gateways.Run(TimeSpan.FromSeconds(60), _ => AskAndCharge(0));
        var after = _gateways.Run(TimeSpan.FromSeconds(60), _ => AskAndCharge(2));

        Assert.InRange(before, Limit * tokens * 0.9, Limit * tokens * 1.1);
        Assert.InRange(after, Limit * tokens * 0.9, Limit * tokens * 1.1);
    }

    /// <summary>A limit that is smaller than the number of gateways would have no whole request for any of them.</summary>
    [Fact]
    public void Begin_OneRequestPerMinute_IsAdmittedAtTheFirstGatewayThatIsAsked()
    {
        _gateways.Start(3, key => key with { RequestsPerMinute = 1 });

        Assert.Equal(1, _gateways.Ask(1));
        _gateways.Run(TimeSpan.FromSeconds(2), _ => 0);

        Assert.Equal(0, _gateways.Ask(0) + _gateways.Ask(1) + _gateways.Ask(2));
    }

    [Fact]
    public void Use_GatewayThatDies_GivesItsShareToTheOthers()
    {
        _gateways.Start(2, key => key with { RequestsPerMinute = Limit });
        _gateways.Run(TimeSpan.FromSeconds(60), _ => _gateways.Ask(0));
        _gateways[0].IsDead = true;
        _gateways.Run(TimeSpan.FromSeconds(2), _ => 0);

        Assert.InRange(_gateways.Run(TimeSpan.FromSeconds(60), _ => _gateways.Ask(1)), Limit * 0.9, Limit * 1.1);
        Assert.Equal(1, KeyShare.Of(0, 0, gateways: 1));
    }

    /// <summary>A gateway that is started while the others have used the limit must not begin with all of it.</summary>
    [Fact]
    public void Use_GatewayThatStarts_BeginsWithWhatTheOthersHaveLeft()
    {
        _gateways.Start(2, key => key with { RequestsPerMinute = Limit, TokensPerDay = 1_000 });
        _gateways.Run(TimeSpan.FromSeconds(60), _ => _gateways.Ask(0));
        _gateways[0].Meter.Charge(900);

        _gateways.Start(1, key => key with { RequestsPerMinute = Limit, TokensPerDay = 1_000 });
        _gateways.Run(TimeSpan.FromSeconds(1), _ => 0);

        Assert.InRange(_gateways[2].Meter.Report()!.RequestsLeft, 0, Limit * 0.1);
        Assert.InRange(_gateways[2].Meter.Report()!.DayTokensLeft, 99, 101);
    }

    /// <summary>The use of a gateway that answers again was charged twice.</summary>
    [Fact]
    public void Use_GatewayThatDidNotAnswerForAWhile_IsChargedOnce()
    {
        _gateways.Start(2, key => key with { RequestsPerMinute = Limit });
        _gateways.Run(TimeSpan.FromSeconds(2), _ => 0);
        _gateways[0].IsSilent = true;
        for (var i = 0; i < 100; i++)
            _gateways.Ask(0);
        _gateways.Run(TimeSpan.FromSeconds(3), _ => 0);
        _gateways[0].IsSilent = false;

        _gateways.Run(TimeSpan.FromSeconds(1), _ => 0);

        var (one, other) = (_gateways[0].Meter.Report()!.RequestsLeft, _gateways[1].Meter.Report()!.RequestsLeft);
        Assert.InRange(other, one - 35, one + 1);
    }

    [Fact]
    public void Use_HostileReport_ChangesNoOtherKeyAndNoLevelUpwards()
    {
        _gateways.Start(1, key => key with { RequestsPerMinute = Limit });
        _gateways.Ask(0);
        var report = new KeyUseReport { Instance = 7 };
        report.Keys.Add(new KeyUseRow { Name = "stranger", Requests = ulong.MaxValue, Demand = double.NaN });
        report.Keys.Add(new KeyUseRow { Name = "k", Requests = ulong.MaxValue, Demand = double.PositiveInfinity, RequestsLeft = double.NaN });

        _gateways[0].Exchange.Use("gateway-0", new Dictionary<string, KeyUseReport?> { ["g"] = report });
        report.Keys[1].Requests = 0;
        _gateways[0].Exchange.Use("gateway-0", new Dictionary<string, KeyUseReport?> { ["g"] = report });

        Assert.InRange(_gateways[0].Meter.Report()!.RequestsLeft, Limit - 1, Limit);
        Assert.Single(_gateways[0].Keys.Uses);
    }
}
