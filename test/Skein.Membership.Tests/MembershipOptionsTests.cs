using System.Net;

namespace Skein.Membership.Tests;

public sealed class MembershipOptionsTests
{
    private static readonly MembershipOptions Valid = new() { Name = "replica-1" };

    [Fact]
    public void Validate_Profiles_AreValid()
    {
        foreach (var profile in new[] { ProtocolOptions.Lan, ProtocolOptions.Fast, ProtocolOptions.Wan })
            (Valid with { Protocol = profile }).Validate();
    }

    [Theory]
    [InlineData("")]
    [InlineData("has space")]
    [InlineData("naïve")]
    public void Validate_BadName_NamesOptionAndValue(string name) =>
        AssertRefused(Valid with { Name = name }, "Name", $"'{name}'", "printable ASCII");

    [Theory]
    [InlineData("host:port")]
    [InlineData("host:0")]
    [InlineData(":7946")]
    [InlineData("host:70000")]
    public void Validate_BadSeed_NamesIt(string seed) => AssertRefused(Valid with { Seeds = ["good:1", seed] }, "Seeds", $"'{seed}'");

    [Theory]
    [InlineData("10.0.0.1:7946")]
    [InlineData("10.0.0.1")]
    [InlineData("skein-gossip.default.svc:7946")]
    [InlineData("[::1]:7946")]
    [InlineData("::1")]
    public void Validate_GoodSeed_IsTaken(string seed) => (Valid with { Seeds = [seed] }).Validate();

    [Fact]
    public void Validate_NotLoopbackWithoutInsecure_IsRefused()
    {
        var open = Valid with { Bind = new IPEndPoint(IPAddress.Any, 7946) };

        AssertRefused(open, "Bind", "0.0.0.0:7946", "loopback");
        (open with { Insecure = true }).Validate();
    }

    [Fact]
    public void Validate_AdvertiseIsIPv6AndBindIPv4_IsRefused() =>
        AssertRefused(Valid with { Advertise = new IPEndPoint(IPAddress.IPv6Loopback, 0) }, "Advertise", "[::1]:0", "127.0.0.1:7946", "IPv4");

    [Fact]
    public void Validate_TimeoutAbovePeriod_NamesBothEnds() =>
        AssertRefused(Valid with { Protocol = ProtocolOptions.Lan with { DirectTimeout = TimeSpan.FromSeconds(2) } }, "DirectTimeout", "00:00:02", "00:00:01");

    [Fact]
    public void Validate_ReturnDelayShorterThanAProbePeriodOrLongerThanItsMemory_IsRefused()
    {
        var lan = ProtocolOptions.Lan;
        AssertRefused(Valid with { Protocol = lan with { ReturnDelay = TimeSpan.FromMilliseconds(500) } }, "ReturnDelay", "00:00:00.5", "00:00:01");
        AssertRefused(Valid with { Protocol = lan with { FlapMemory = TimeSpan.FromSeconds(20) } }, "FlapMemory", "00:00:20", "00:00:30");
    }

    [Fact]
    public void Validate_NoTryOfASeedOrAnotherOneAtOnce_IsRefused()
    {
        AssertRefused(Valid with { Protocol = ProtocolOptions.Lan with { SeedTries = 0 } }, "SeedTries", "0", "1", "16");
        AssertRefused(Valid with { Protocol = ProtocolOptions.Lan with { SeedHedgeAfter = TimeSpan.Zero } }, "SeedHedgeAfter", "00:00:00", "00:00:00.01");
    }

    [Fact]
    public void Validate_TheDeadForgottenBeforeALoneAccusersVerdict_IsRefused() =>
        AssertRefused(Valid with { Protocol = ProtocolOptions.Lan with { TombstoneLifetime = TimeSpan.FromSeconds(11) } }, "TombstoneLifetime", "00:00:11", "00:00:12");

    [Fact]
    public void Validate_RefutationsSlowerThanVerdicts_IsRefused() =>
        AssertRefused(Valid with { Protocol = ProtocolOptions.Lan with { GossipInterval = TimeSpan.FromMinutes(1) } }, "GossipInterval", "00:01:00", "00:00:00.25");

    private static void AssertRefused(MembershipOptions options, params string[] parts)
    {
        var refusal = Assert.Throws<ArgumentException>(options.Validate);
        Assert.All(parts, part => Assert.Contains(part, refusal.Message, StringComparison.Ordinal));
    }
}
