namespace Skein.Gateway.Tests.Fairness;

/// <summary>Several gateways share full replicas as if all requests were in one queue.</summary>
public sealed class FairnessTests
{
    private const int Slots = 8;

    private enum Way
    {
        OneLine,
        Luck,
        Offers,

        /// <summary>The last gateway is of the previous release, which has no offers.</summary>
        Mixed,
    }

    [Fact]
    public void OldQueueBehindNewRequests_WithOffers_WaitsAsInOneLine()
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            var visits = NewRequestsHoldTheSlots(seed);
            var line = Figures.Of(Way.OneLine, visits, gateways: 2, replicas: 1);
            var luck = Figures.Of(Way.Luck, visits, gateways: 2, replicas: 1);
            var offers = Figures.Of(Way.Offers, visits, gateways: 2, replicas: 1);

            Assert.InRange(luck.LongestMs, 1.25 * line.LongestMs, double.MaxValue);
            Assert.InRange(offers.LongestMs, 0, 1.1 * line.LongestMs);
            Assert.InRange(offers.AllServedS, 0, 1.02 * line.AllServedS);
        }
    }

    [Theory]
    [InlineData(2, 1, 1.2)]
    [InlineData(4, 3, 1.2)]
    [InlineData(16, 16, 1.1)]
    public void Overload_WithOffers_LongestWaitIsNearlyThatOfOneLineAndNoSlotTimeIsLost(int gateways, int replicas, double use)
    {
        var visits = Poisson(gateways, replicas * Slots, use, seconds: 60, seed: 1);
        var line = Figures.Of(Way.OneLine, visits, gateways, replicas);
        var luck = Figures.Of(Way.Luck, visits, gateways, replicas);
        var offers = Figures.Of(Way.Offers, visits, gateways, replicas);

        Assert.InRange(offers.LongestMs, 0, 1.25 * line.LongestMs);
        Assert.InRange(luck.LongestMs, 1.25 * line.LongestMs, double.MaxValue);
        Assert.InRange(offers.AllServedS, 0, 1.02 * line.AllServedS);
        Assert.InRange(offers.RefusalsPerRequest, 0, luck.RefusalsPerRequest);
    }

    [Fact]
    public void OneGateway_NeverRefused_GetsNoOffer()
    {
        var alone = Figures.Of(Way.Offers, Poisson(gateways: 1, 3 * Slots, use: 1.2, seconds: 20, seed: 1), gateways: 1, replicas: 3);

        Assert.Equal((0, 0), (alone.Offers, alone.RefusalsPerRequest));
    }

    [Fact]
    public void OneGatewayOfTheReleaseBefore_IsServedToo()
    {
        var visits = Poisson(gateways: 2, Slots, use: 1.2, seconds: 60, seed: 1);

        var luck = Figures.Of(Way.Luck, visits, gateways: 2, replicas: 1);
        var mixed = Figures.Of(Way.Mixed, visits, gateways: 2, replicas: 1);

        Assert.InRange(mixed.LongestMs, 0, 2 * luck.LongestMs);
        Assert.InRange(mixed.AllServedS, 0, 1.02 * luck.AllServedS);
    }

    /// <summary>A backlog that grows at each gateway, in fixed proportions.</summary>
    [Theory]
    [InlineData(1, 1, 3)]
    [InlineData(1, 1, 9)]
    [InlineData(3, 1, 2, 4)]
    [InlineData(2, 1, 2, 3, 4)]
    [InlineData(4, 4, 1, 1, 4)]
    public void Backlogs_InProportion_GetSlotSecondsInProportionWithinATenth(int replicas, params int[] shares)
    {
        var begin = TimeSpan.FromSeconds(20);
        var end = TimeSpan.FromSeconds(100);
        var visits = Steady(shares, arrivalsPerSecond: 1.5 * replicas * Slots, end, seed: 1);

        var served = new SharedReplicas([.. shares.Select(_ => true)], replicas, Slots).Serve(visits);

        double[] slotSeconds = [.. shares.Select((_, gateway) => SlotSeconds(served, gateway, begin, end))];
        double[] backlogSeconds = [.. shares.Select((_, gateway) => served.Where(one => one.Visit.Gateway == gateway)
            .Sum(one => Math.Max(0, (Min(one.StartedAt, end) - Max(one.Visit.At, begin)).TotalSeconds)))];
        Assert.InRange(slotSeconds.Sum(), 0.98 * replicas * Slots * (end - begin).TotalSeconds, replicas * Slots * (end - begin).TotalSeconds);
        for (var gateway = 0; gateway < shares.Length; gateway++)
        {
            var due = slotSeconds.Sum() * backlogSeconds[gateway] / backlogSeconds.Sum();
            Assert.InRange(slotSeconds[gateway], 0.9 * due, 1.1 * due);
        }
    }

    /// <summary>
    /// Clients that ask again as soon as they have their answer. Slots that became free together went to the gateways in turn: of answers of equal length, 10 of
    /// 40 clients got three quarters of the slots.
    /// </summary>
    /// <param name="replicas">How many there are.</param>
    /// <param name="togetherMs">All clients begin within this time.</param>
    /// <param name="spread">How much the times of answers vary: from 1 s less half of it to 1 s and half of it.</param>
    /// <param name="clients">Of each gateway.</param>
    [Theory]
    [InlineData(1, 0, 0.0, 4, 36)]
    [InlineData(1, 0, 0.0, 10, 30)]
    [InlineData(1, 0, 0.0, 4, 12, 24)]
    [InlineData(1, 2, 0.0, 10, 30)]
    [InlineData(1, 1000, 0.0, 4, 36)]
    [InlineData(1, 1000, 0.0, 10, 30)]
    [InlineData(1, 0, 0.01, 4, 36)]
    [InlineData(1, 0, 0.01, 10, 30)]
    [InlineData(1, 1000, 1.0, 4, 36)]
    [InlineData(1, 1000, 1.0, 10, 30)]
    [InlineData(3, 0, 0.0, 12, 108)]
    [InlineData(3, 0, 0.0, 30, 90)]
    [InlineData(3, 1000, 0.0, 30, 90)]
    [InlineData(3, 0, 0.01, 12, 36, 72)]
    public void ClosedLoops_InProportion_GetSlotSecondsInProportionWithinATenth(int replicas, int togetherMs, double spread, params int[] clients)
    {
        var (begin, end) = (TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(320));
        for (var seed = 1; seed <= 3; seed++)
        {
            var random = new Random(seed);
            var world = new SharedReplicas([.. clients.Select(_ => true)], replicas, Slots, seed);
            world.Ended += one => world.Add(new Visit(world.Now, one.Visit.Gateway, Hold()));
            for (var gateway = 0; gateway < clients.Length; gateway++)
            {
                for (var i = 0; i < clients[gateway]; i++)
                    world.Add(new Visit(TimeSpan.FromMilliseconds(togetherMs * random.NextDouble()), gateway, Hold()));
            }

            var served = world.Run(end);

            double[] slotSeconds = [.. clients.Select((_, gateway) => SlotSeconds(served, gateway, begin, end))];
            Assert.InRange(slotSeconds.Sum(), 0.98 * replicas * Slots * (end - begin).TotalSeconds, replicas * Slots * (end - begin).TotalSeconds);
            for (var gateway = 0; gateway < clients.Length; gateway++)
            {
                var due = slotSeconds.Sum() * clients[gateway] / clients.Sum();
                Assert.InRange(slotSeconds[gateway], 0.9 * due, 1.1 * due);
            }

            TimeSpan Hold() => TimeSpan.FromSeconds(1 - (spread / 2) + (spread * random.NextDouble()));
        }
    }

    /// <summary>Slots that are kept for a gateway which is gone must not be lost to the others, nor their requests.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void GatewayWithWaitersOnly_Dies_RequestsOfTheOthersAreServedAsIfItHadNotBeen(bool isNoticed)
    {
        var dies = TimeSpan.FromSeconds(4);
        var others = NewRequestsHoldTheSlots(seed: 1).ConvertAll(visit => visit with { Gateway = 0, Hold = Max(visit.Hold, TimeSpan.FromSeconds(5)) });
        // They come when all slots are held for seconds: none of them gets one.
        List<Visit> lost = [.. Enumerable.Range(0, 40).Select(i => new Visit(TimeSpan.FromMilliseconds(3000 + i), 1, TimeSpan.FromSeconds(1)))];
        var world = new SharedReplicas([true, true, true], replicas: 1, Slots);
        world.Kill(gateway: 1, dies, isNoticed);

        var served = world.Serve([.. others, .. lost], lost.Count);

        var alone = new SharedReplicas([true, true, true], replicas: 1, Slots).Serve(others);
        Assert.DoesNotContain(served, one => one.Visit.Gateway == 1);
        Assert.Equal(others.Count, served.Count);
        Assert.Equal(0, world.Left);
        Assert.InRange(served[^1].StartedAt, alone[^1].StartedAt, 1.02 * alone[^1].StartedAt);
    }

    /// <summary>The table of docs/measurements/admission.md; run by hand, with <c>--explicit only</c>.</summary>
    [Fact(Explicit = true)]
    public void Table()
    {
        Print("old queue before new requests, 1 x 8", OldQueueAndNewRequests(seed: 1), gateways: 2, replicas: 1);
        Print("new requests hold the slots, 1 x 8", NewRequestsHoldTheSlots(seed: 1), gateways: 2, replicas: 1);
        foreach ((var gateways, var replicas, var use) in new[] { (2, 1, 1.2), (2, 3, 1.2), (4, 3, 1.2), (2, 16, 0.9), (4, 16, 0.9), (16, 16, 0.9), (16, 16, 1.1) })
            Print($"{use} use, {gateways} gateways, {replicas} x 8", Poisson(gateways, replicas * Slots, use, seconds: 60, seed: 1), gateways, replicas);
    }

    private static double SlotSeconds(IReadOnlyList<Served> served, int gateway, TimeSpan begin, TimeSpan end) =>
        served.Where(one => one.Visit.Gateway == gateway).Sum(one => Math.Max(0, (Min(one.EndedAt, end) - Max(one.StartedAt, begin)).TotalSeconds));

    private static void Print(string what, IReadOnlyCollection<Visit> visits, int gateways, int replicas)
    {
        foreach (var way in Enum.GetValues<Way>())
            TestContext.Current.TestOutputHelper!.WriteLine($"{what}: {Figures.Of(way, visits, gateways, replicas)}");
    }

    private static List<Visit> OldQueueAndNewRequests(int seed)
    {
        var random = new Random(seed);
        var visits = new List<Visit>();
        for (var i = 0; i < 80; i++)
            visits.Add(new Visit(TimeSpan.FromMilliseconds(i), 0, Exponential(random, 1)));
        for (var at = TimeSpan.FromSeconds(1); at < TimeSpan.FromSeconds(20); at += Exponential(random, 1.0 / 6))
            visits.Add(new Visit(at, 1, Exponential(random, 1)));
        return visits;
    }

    /// <summary>The same, but the new requests found the replica free.</summary>
    private static List<Visit> NewRequestsHoldTheSlots(int seed) =>
    [
        .. OldQueueAndNewRequests(seed).Select(visit => visit with
        {
            Gateway = 1 - visit.Gateway,
            At = visit.Gateway == 0 ? visit.At + TimeSpan.FromSeconds(3) : visit.At,
        }),
    ];

    private static List<Visit> Poisson(int gateways, int slots, double use, int seconds, int seed)
    {
        var random = new Random(seed);
        var visits = new List<Visit>();
        for (var at = TimeSpan.Zero; at < TimeSpan.FromSeconds(seconds); at += Exponential(random, 1 / (use * slots)))
            visits.Add(new Visit(at, random.Next(gateways), Exponential(random, 1)));
        return visits;
    }

    /// <summary>Requests that come evenly, each to the gateway that has the least for its share.</summary>
    private static List<Visit> Steady(int[] shares, double arrivalsPerSecond, TimeSpan until, int seed)
    {
        var random = new Random(seed);
        var visits = new List<Visit>();
        var sent = new int[shares.Length];
        for (var at = TimeSpan.Zero; at < until; at += TimeSpan.FromSeconds(1 / arrivalsPerSecond))
        {
            var gateway = Enumerable.Range(0, shares.Length).MinBy(index => (sent[index] + 1.0) / shares[index]);
            sent[gateway]++;
            visits.Add(new Visit(at, gateway, TimeSpan.FromSeconds(0.5 + random.NextDouble())));
        }
        return visits;
    }

    private static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;

    private static TimeSpan Max(TimeSpan left, TimeSpan right) => left > right ? left : right;

    private static TimeSpan Exponential(Random random, double meanSeconds) => TimeSpan.FromSeconds(meanSeconds * -Math.Log(1 - random.NextDouble()));

    /// <param name="LongestMs">Longest wait.</param>
    /// <param name="P99Ms">99 % of the requests waited less.</param>
    /// <param name="WorstOvertakenMs">Longest time by which a request arrived after one that was served later.</param>
    /// <param name="AllServedS">When the last request got its slot; a measure of throughput.</param>
    private sealed record Figures(double LongestMs, double P99Ms, double WorstOvertakenMs, double AllServedS, double RefusalsPerRequest, int Offers, int Declined)
    {
        public static Figures Of(Way way, IReadOnlyCollection<Visit> visits, int gateways, int replicas)
        {
            bool[] knowOffers = [.. Enumerable.Repeat(way != Way.Luck, way == Way.OneLine ? 1 : gateways)];
            if (way == Way.Mixed)
                knowOffers[^1] = false;
            var world = new SharedReplicas(knowOffers, replicas, Slots);
            var served = world.Serve(way == Way.OneLine ? [.. visits.Select(visit => visit with { Gateway = 0 })] : visits);
            Assert.Equal(0, world.Left);
            double[] waits = [.. served.Select(one => one.Waited.TotalMilliseconds).Order()];
            return new Figures(
                waits[^1], waits[waits.Length * 99 / 100], Overtaken(served).TotalMilliseconds, served[^1].StartedAt.TotalSeconds,
                (double)world.Refusals / waits.Length, world.Offers, world.Declined);
        }

        private static TimeSpan Overtaken(IReadOnlyList<Served> served)
        {
            var youngest = TimeSpan.Zero;
            var worst = TimeSpan.Zero;
            foreach (var one in served)
            {
                worst = youngest - one.Visit.At > worst ? youngest - one.Visit.At : worst;
                youngest = one.Visit.At > youngest ? one.Visit.At : youngest;
            }
            return worst;
        }
    }
}
