using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Streaming;

public sealed class StragglerTests
{
    private const int Tokens = HandOverRig.Tokens;
    private static readonly TimeSpan Fast = TimeSpan.FromMilliseconds(10);

    [Fact]
    public async Task Straggler_FarSlowerThanAnotherReplica_StreamMoves()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Link.Script = rig.Paced("a", 30 * Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(200));
        var received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, 200), received.Text);
        var move = Assert.Single(session.Failovers);
        Assert.Equal(("a", "straggler"), (move.From, move.Reason));
        Assert.True(move.TokenIndex < 20, $"moved as late as token {move.TokenIndex}");
    }

    /// <summary>It was fast a while ago: on a machine where everything became slow, a move gains nothing.</summary>
    [Fact]
    public async Task Straggler_OtherReplicaWasNotMeasuredLately_StreamStays()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Time.Advance(TimeSpan.FromSeconds(4));
        rig.Gateway.Link.Script = rig.Paced("a", 30 * Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(200));
        await Received.AllAsync(session);

        Assert.Empty(session.Failovers);
    }

    /// <summary>The engine's random numbers begin anew elsewhere: the answer would no longer be that of the client's seed.</summary>
    [Fact]
    public async Task Straggler_ClientChoseTheSeed_StreamStays()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        rig.Gateway.Link.Tier = ResumeTier.Tokens;
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Link.Script = rig.Paced("a", 30 * Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(200));
        await Received.AllAsync(session);

        Assert.Empty(session.Failovers);
    }

    [Fact]
    public async Task Straggler_FewTokensLeft_StreamStays()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Link.Script = rig.Paced("a", 30 * Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(6));
        await Received.AllAsync(session);

        Assert.Empty(session.Failovers);
    }

    /// <summary>One pause of a second, as a collector or a long prompt beside it makes: at the second look it is over.</summary>
    [Fact]
    public async Task Straggler_SlowForOneLookOnly_StreamStays()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Link.Script = rig.Paced((_, at) => at == 60 ? TimeSpan.FromSeconds(1) : Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(300));
        await Received.AllAsync(session);

        Assert.Empty(session.Failovers);
    }

    /// <summary>Where it went is ten times slower still, and would be left again: streams that wander help nobody.</summary>
    [Fact]
    public async Task Straggler_MovedOnce_StaysWhereItIs()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Link.Script = rig.Paced((name, _) => name == "a" ? 10 * Fast : 100 * Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(300));
        await Received.AllAsync(session);

        Assert.Equal("straggler", Assert.Single(session.Failovers).Reason);
    }

    [Theory]
    [InlineData(0, 4)] // no budget
    [InlineData(100, 0)] // never to be moved
    [InlineData(100, 40)] // not slow enough by what was set
    public async Task Straggler_MayNotBeMoved_StreamStays(int budget, double factor)
    {
        using var rig = new HandOverRig(streaming: new StreamingOptions { RetryBurst = budget, StragglerFactor = factor }) { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: Fast);
        rig.Gateway.Link.Script = rig.Paced("a", 30 * Fast);

        await using var session = rig.Gateway.Sessions.Start(Gateway.Request(200));
        await Received.AllAsync(session);

        Assert.Empty(session.Failovers);
    }
}
