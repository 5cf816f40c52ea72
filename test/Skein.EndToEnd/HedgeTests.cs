using Skein.EndToEnd.Support;

namespace Skein.EndToEnd;

/// <summary>Hedges where a replica's first token is late, requested by the client, or by <c>skein gateway --hedge all</c>: another replica answers.</summary>
public class HedgeTests
{
    private const string Slow = "replica-1";

    /// <summary>The initial hedge budget, and what each request adds to it.</summary>
    private const double Burst = 5, Share = 0.05;

    /// <summary>First tokens of each replica after which the gateway can hedge.</summary>
    private const int Known = 8;

    private static readonly Question Plain = new("Who answers first?", MaxTokens: 80);

    [Fact]
    public async Task Hedge_OneReplicaOfThreeIsSlow_AnotherAnswersAndMayItselfBeLost()
    {
        // Only the slow requests ask for hedging: on a busy machine others could be late too and use up the budget.
        await using var cluster = await StartAsync("off", "replica-2", "replica-3");
        var undisturbed = await cluster.AskToEndAsync(Plain);
        Assert.Equal((0, 0), await CountAsync(cluster));
        // Longer than any deadline of this test: without a hedge there is no answer, and the slow attempt ends only if it is cancelled.
        var late = Plain with { Fault = $$"""{"kind":"slow","at":0,"on":"{{Slow}}","attempt":0,"ms":600000}""", Hedge = true };

        // More requests than replicas, so that the slow one gets some. At most as many as the budget
        // allows, because on a busy machine every first token may be late.
        var streams = await Task.WhenAll(Enumerable.Range(0, (int)Burst).Select(_ => HttpAnswerStream.AskAsync(cluster.Client, late)));
        try
        {
            Assert.All(streams, static stream => Assert.NotEqual(Slow, stream.Replica));
            var hedged = streams.First(static stream => stream.Attempts != "1");
            await cluster.MemberAsync(Slow, row => row.InFlight == 0, "was cancelled");
            await hedged.ReadPiecesAsync(5);
            cluster.Replicas[hedged.Replica].Handle.Send(Signal.Kill);
            foreach (var stream in streams)
                Assert.Equal(undisturbed, await stream.ReadToEndAsync());
            Assert.Matches($@"^failovers=1 attempts=[3-5] \[token \d+: {hedged.Replica} lost \((connection_lost|link_stall)\)\]$", hedged.Failovers);
        }
        finally
        {
            foreach (var stream in streams)
                await stream.DisposeAsync();
        }
        (var asked, var won) = await CountAsync(cluster);
        Assert.InRange(won, 1, asked);
    }

    [Fact]
    public async Task Hedge_EveryFirstAttemptIsSlow_HedgesStayWithinTheBudget()
    {
        const int Requests = 40;
        await using var cluster = await StartAsync("all", "replica-2");
        var undisturbed = await cluster.AskToEndAsync(Plain);
        var late = Plain with { Fault = """{"kind":"slow","at":0,"attempt":1,"ms":3000}""" };

        var answers = await Task.WhenAll(Enumerable.Range(0, Requests).Select(_ => cluster.AskToEndAsync(late)));

        Assert.All(answers, answer => Assert.Equal(undisturbed, answer));
        (var asked, var won) = await CountAsync(cluster);
        // Every request adds to the budget. On a busy machine the requests before the slow ones may be hedged too.
        Assert.InRange(asked, 1, Burst + (Share * ((Known * cluster.Replicas.Count) + 1 + Requests)));
        Assert.InRange(won, 1, asked);
    }

    /// <summary>Starts it and asks until the gateway has measured enough first tokens; nothing is hedged before that.</summary>
    private static async Task<LooseCluster> StartAsync(string hedge, params string[] others)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: signals, and processes as /proc tells them");
        var cluster = await LooseCluster.StartAsync([Slow, .. others], ["--tokens-per-second", "40", "--enable-faults"], "--hedge", hedge);
        try
        {
            await Task.WhenAll(Enumerable.Range(0, Known * (1 + others.Length)).Select(_ => cluster.AskToEndAsync(Plain with { MaxTokens = 1 })));
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    private static async Task<(double Asked, double Won)> CountAsync(LooseCluster cluster)
    {
        var metrics = await cluster.Client.GetStringAsync("/metrics");
        return (Metric.Sum(metrics, "skein_hedges", "outcome=\"asked\""), Metric.Sum(metrics, "skein_hedges", "outcome=\"won\""));
    }
}
