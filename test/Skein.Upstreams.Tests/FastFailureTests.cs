using System.Diagnostics;
using Skein.Upstreams.Tests.Gateways;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests;

/// <summary>A server that fails fast must not attract traffic.</summary>
public sealed class FastFailureTests
{
    private const int Clients = 16;
    private const int Requests = 2_000;

    /// <summary>A server that reset each connection beside a healthy one kept a fifth of the traffic, with a stack trace each.</summary>
    [Theory]
    [InlineData("503")]
    [InlineData("500")]
    [InlineData("429")]
    [InlineData("empty 200")]
    [InlineData("reset")]
    [InlineData("fin")]
    [InlineData("401")]
    public async Task OneOfTwoFailsAtOnce_AllAreServedAndItsShareFalls(string fault)
    {
        await using var bad = new ScriptedServer(FaultOf(fault));
        await using var good = new ScriptedServer(Answers.Words("a "));
        await using var gateway = await TestGateway.StartAsync(new TestGateway.Setup { Slots = 64 }, bad, good);
        var began = Stopwatch.GetTimestamp();
        var next = 0;
        var wrong = 0;
        var late = 0;
        var badBefore = -1;

        await Task.WhenAll(Enumerable.Range(0, Clients).Select(async _ =>
        {
            // All of them, and at least 1 s after the first 2 s.
            while (Interlocked.Increment(ref next) <= Requests || Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(3))
            {
                if (Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(2))
                {
                    Interlocked.CompareExchange(ref badBefore, bad.Generations, -1);
                    Interlocked.Increment(ref late);
                }
                var reply = await gateway.ChatAsync(seconds: 40);
                if (reply is not { Status: 200, Text: "a ", IsDone: true })
                    Interlocked.Increment(ref wrong);
            }
        }));

        Assert.Equal(0, wrong);
        var share = (double)(bad.Generations - badBefore) / late;
        Assert.True(share < 0.02, $"{bad.Generations} of {next} requests reached it; after 2 s {bad.Generations - badBefore} of {late}");
        // Lines for its start, its failing and its return, which name it, and a few for trials.
        Assert.InRange(gateway.Log.With(bad.Name).Count(), 2, 14);
        Assert.True(gateway.Log.All.All(line => line.Exception is null),
            $"stack traces in the log: {gateway.Log.All.Count(line => line.Exception is not null)}");
    }

    /// <summary>When it answers again it gets its share again.</summary>
    [Fact]
    public async Task FailingServerRecovers_ItIsUsedAgain()
    {
        await using var recovering = new ScriptedServer(Answers.Error(503, "not now"));
        await using var good = new ScriptedServer(Answers.Words("a "));
        await using var gateway = await TestGateway.StartAsync(
            new TestGateway.Setup
            {
                Options = options => options with
                {
                    Health = options.Health with { Breaker = options.Health.Breaker with { OpenFor = TimeSpan.FromMilliseconds(500) } },
                },
            },
            recovering,
            good);
        for (var i = 0; i < 40; i++)
            Expect.Answer(await gateway.ChatAsync(), "a ");
        var before = recovering.Generations;

        recovering.Generate = Answers.Words("a ");
        var began = Stopwatch.GetTimestamp();
        while (recovering.Generations < before + 10 && Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(15))
            Expect.Answer(await gateway.ChatAsync(), "a ");

        Assert.InRange(recovering.Generations, before + 10, int.MaxValue);
    }

    private static Answer FaultOf(string name) => name switch
    {
        "reset" => Answers.Reset,
        "fin" => _ => Task.FromResult(Ending.Close),
        "empty 200" => Answers.Stream(),
        _ => Answers.Error(int.Parse(name), "not now"),
    };
}
