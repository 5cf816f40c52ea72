using Skein.Gateway.Admin;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Admin;

public class DrainBlockTests
{
    private static readonly MemberStatus Draining = Replica("r1", "alive", 4, 3, draining: true);

    [Fact]
    public void Describe_NothingRuns_IsNothing() => Assert.Null(DrainBlock.Describe(Draining, 0, TimeSpan.Zero, [Draining]));

    [Theory]
    [InlineData("", "3 streams run, the grace is over, no other ready replica serves m")]
    [InlineData("r2 alive 4 4, r3 alive 2 2", "3 streams run, the grace is over, no slot is free elsewhere (6 of 6 in use)")]
    [InlineData("r2 alive 4 4, r3 alive 2 1", "3 streams run, the grace is over, 1 of 6 slots are free elsewhere")]
    [InlineData("r2 suspect 4 0, r3 dead 2 0", "3 streams run, the grace is over, no other ready replica serves m")]
    [InlineData("r2 alive 4 9, r3 alive 2 1", "3 streams run, the grace is over, 1 of 6 slots are free elsewhere")]
    public void Describe_GraceIsOver_SaysWhatIsFreeElsewhere(string others, string words)
    {
        MemberStatus[] group =
        [
            Draining, new MemberStatus { Name = "g1", Role = "gateway", State = "alive", Models = { "m" }, Slots = 9 }, Replica("x", "alive", 9, 0, model: "other"), Replica("y", "alive", 9, 0, draining: true),
            .. others.Split(", ", StringSplitOptions.RemoveEmptyEntries).Select(other => other.Split(' ')).Select(words => Replica(words[0], words[1], uint.Parse(words[2]), uint.Parse(words[3]))),
        ];

        Assert.Equal(words, DrainBlock.Describe(Draining, 3, TimeSpan.Zero, group));
    }

    [Fact]
    public void Describe_GraceLeft_SaysHowMuch() =>
        Assert.Equal("1 stream runs, 2 s of grace left, no other ready replica serves m", DrainBlock.Describe(Draining, 1, TimeSpan.FromSeconds(1.2), [Draining]));

    private static MemberStatus Replica(string name, string state, uint slots, uint inFlight, bool draining = false, string model = "m") =>
        new() { Name = name, Role = "replica", State = state, Slots = slots, InFlight = inFlight, Draining = draining, Models = { model } };
}
