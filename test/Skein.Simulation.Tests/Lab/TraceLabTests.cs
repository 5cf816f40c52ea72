using Skein.Simulation.Lab;
using Skein.Simulation.Traces;

namespace Skein.Simulation.Tests.Lab;

public sealed class TraceLabTests
{
    [Fact]
    public void OneRequest_TakesExactlyTheTimeOfTheModel()
    {
        var model = new EngineModel { StepMs = 10, SequenceMs = 1, PrefillTokensPerSecond = 1000, ChunkTokens = 500 };
        var result = TraceLab.Run(Settings([new TraceRequest(TimeSpan.FromSeconds(1), 1200, 11, [])]) with { Model = model });

        // Three chunks of the prompt, then ten tokens; half a millisecond each way.
        var figures = Assert.Single(result.Policies);
        Assert.Equal(1, figures.Completed);
        Assert.Equal(3 * 10 + 1200 + 0.5, figures.TtftP50Ms, tolerance: 0.01);
        Assert.Equal(11, figures.ItlP50Ms, tolerance: 0.2);
        Assert.Equal(1, figures.SlowdownMean, tolerance: 0.01);
        // A hot spot is a matter of whole minutes.
        Assert.Equal((null, null), (figures.HotSpotRequests, figures.HotSpotWork));
        Assert.Contains("n/a", result.ToTable().Render(), StringComparison.Ordinal);
    }

    [Fact]
    public void QueueTimeout_ShorterThanTheWaitForAReplica_BoundsBoth()
    {
        var queueTimeout = TimeSpan.FromSeconds(10);
        var trace = Enumerable.Range(0, 50).Select(_ => new TraceRequest(TimeSpan.Zero, 10, 500, [])).ToArray();

        var figures = TraceLab.Run(Settings(trace) with { Replicas = 1, Slots = [1], QueueTimeout = queueTimeout }).Policies[0];

        Assert.InRange(figures.Completed, 1, trace.Length - 1);
        Assert.Equal(trace.Length, figures.Completed + figures.Refused);
        Assert.InRange(figures.QueueP99Ms, 1, queueTimeout.TotalMilliseconds);
    }

    /// <summary>After long answers the queue had one place, in which nothing was measured, and kept it for ever: half of the short requests were refused.</summary>
    [Fact]
    public void LongAnswersThenShortOnes_RefusalsEnd()
    {
        IReadOnlyList<TraceRequest> longAnswers = [.. Enumerable.Range(0, 60).Select(i => new TraceRequest(TimeSpan.FromSeconds(10 * i), 100, 4000, []))];
        IReadOnlyList<TraceRequest> shortAnswers =
        [
            // 0.2 s each, three at a time: two of them must wait for a moment.
            .. Enumerable.Range(0, 4000).Select(i => new TraceRequest(TimeSpan.FromSeconds(700 + (0.75 * (i / 3))), 100, 13, [])),
        ];
        var settings = Settings([.. longAnswers, .. shortAnswers]) with { Replicas = 1, Slots = [1] };

        var before = TraceLab.Run(settings with { Trace = longAnswers }).Policies[0];
        var both = TraceLab.Run(settings).Policies[0];

        Assert.InRange(before.Refused, 30, longAnswers.Count);
        // Until as many short answers are known as count.
        Assert.InRange(both.Refused - before.Refused, 0, 200);
    }

    [Fact]
    public void SameSeed_SameFiguresWithSeveralGatewaysAndFaults()
    {
        var settings = Settings(Synthetic()) with
        {
            Gateways = 3, Replicas = 4, Load = 0.8, Slots = [8], Faults = [LabFault.Parse("kill:1@5+5")!, LabFault.Parse("slow:2@10+5")!, LabFault.Parse("drain:3@15+5")!],
        };
        var first = TraceLab.Run(settings);

        Assert.Equal(first.Policies, TraceLab.Run(settings).Policies);
        Assert.NotEqual(first.Policies, TraceLab.Run(settings with { Seed = 9 }).Policies);
    }

    [Fact]
    public void Faults_LoseNoRequest()
    {
        var figures = TraceLab.Run(Settings(Synthetic()) with
        {
            Replicas = 4, Gateways = 2, Load = 0.5, Faults = [LabFault.Parse("kill:1@5+5")!, LabFault.Parse("kill:2@20+5")!],
        }).Policies[0];

        Assert.Equal((0, 0), (figures.Refused, figures.Lost));
        Assert.Equal(figures.Requests, figures.Completed);
    }

    [Fact]
    public void PrefixAffinity_ConversationsOnASmallCache_HitsMoreThanLeastConnections()
    {
        var result = TraceLab.Run(Settings(Synthetic(TimeSpan.FromMinutes(5))) with
        {
            Policies = ["weighted-least-connections", "prefix-affinity"], Replicas = 8, Model = new EngineModel { CacheBlocks = 300 },
        });

        Assert.InRange(result.Policies[1].PrefixHitRatio, 1.2 * result.Policies[0].PrefixHitRatio, 1);
        Assert.InRange(result.Policies[1].HotSpotRequests!.Value, 0, 1);
    }

    /// <summary>At a high load, what is best for each request is not best for all: then other policies can be better.</summary>
    [Fact]
    public void Oracle_UnequalReplicasAtALowLoad_IsTheFastest()
    {
        var slowdowns = TraceLab.Run(Settings(Synthetic()) with
        {
            Policies = ["oracle", "weighted-least-connections", "random"], Replicas = 3, Speeds = [1, 2, 4], Slots = [8, 16, 32], Load = 0.2,
        }).Policies.Select(figures => figures.SlowdownMean).ToArray();

        Assert.InRange(slowdowns[0], 1, slowdowns[1]);
        Assert.InRange(slowdowns[1], 1, slowdowns[2]);
    }

    [Fact]
    public void Overload_RefusesButFinishesWhatItBegan()
    {
        var figures = TraceLab.Run(Settings(Synthetic()) with { Replicas = 1, Slots = [4], Load = 5, QueueLength = 20 }).Policies[0];

        Assert.InRange(figures.Refused, 1, figures.Requests);
        Assert.Equal(figures.Requests, figures.Completed + figures.Refused);
        Assert.Equal(0, figures.Lost);
    }

    [Theory]
    [InlineData("kill:1@60+30", true)]
    [InlineData("SLOW:12@0.5+1", true)]
    [InlineData("kill:1@60", false)]
    [InlineData("burn:1@60+30", false)]
    [InlineData("0:1@60+30", false)]
    [InlineData("kill:-1@60+30", false)]
    public void Fault_Parse_TakesOnlyWhatItSays(string text, bool isFault) => Assert.Equal(isFault, LabFault.Parse(text) is not null);

    private static TraceLabSettings Settings(IReadOnlyList<TraceRequest> trace) => new() { Trace = trace, Policies = ["weighted-least-connections"] };

    private static IReadOnlyList<TraceRequest> Synthetic(TimeSpan? duration = null) =>
        new SyntheticTrace { Duration = duration ?? TimeSpan.FromSeconds(60), Rate = 10, Seed = 3 }.Generate();
}
