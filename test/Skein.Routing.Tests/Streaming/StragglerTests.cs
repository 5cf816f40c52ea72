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

    [Fact]
    public async Task Straggler_FarSlowerThanAnotherReplica_StreamMoves()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: TimeSpan.FromMilliseconds(10));
        rig.Gateway.Link.Script = rig.Paced("a", TimeSpan.FromMilliseconds(300));

        await using IGenerationSession session = rig.Gateway.Sessions.Start(Gateway.Request(200));
        Received received = Assert.Single(await Received.AllAsync(session));

        Assert.Equal(ScriptedLink.TextOf(7, 200), received.Text);
        Failover move = Assert.Single(session.Failovers);
        Assert.Equal(("a", "straggler"), (move.From, move.Reason));
        Assert.True(move.TokenIndex < 20, $"moved as late as token {move.TokenIndex}");
    }

    [Fact]
    public async Task Straggler_FewTokensLeft_StreamStays()
    {
        using var rig = new HandOverRig { DrainAt = int.MaxValue, CutAt = Tokens };
        await rig.ReadWholeAsync("b", tokens: 40, gap: TimeSpan.FromMilliseconds(10));
        rig.Gateway.Link.Script = rig.Paced("a", TimeSpan.FromMilliseconds(300));

        await using IGenerationSession session = rig.Gateway.Sessions.Start(Gateway.Request(6));
        await Received.AllAsync(session);

        Assert.Empty(session.Failovers);
    }
}
