namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Dadgar, Phillips, Currey: Lifeguard, DSN 2018, section V.</summary>
internal static class Lifeguard
{
    private const int PublishedMembers = 128;

    private static readonly (string Name, ProtocolRules Rules, int Beta, string Published)[] Configurations =
    [
        ("SWIM", ProtocolVariant.Swim, 1, "100 / 100"),
        ("LHA-Probe", ProtocolVariant.Swim with { LocalHealth = true }, 1, "67.7 / 32.9"),
        ("LHA-Suspicion", ProtocolVariant.Swim, 6, "3.0 / 6.7"),
        ("Buddy", ProtocolVariant.Swim with { Buddy = true }, 1, "94.1 / 44.6"),
        ("Lifeguard", ProtocolVariant.Lifeguard, 6, "1.53 / 1.89"),
    ];

    private static readonly (double Blocked, double Free)[] Cycles =
        [(2.048, 0.001), (8.192, 0.001), (8.192, 0.016), (16.384, 0.001), (16.384, 1.024), (32.768, 0.001), (32.768, 0.064), (32.768, 4.096)];

    private static readonly int[] Concurrency = [1, 4, 8, 12, 16, 20, 24, 28, 32];

    public static ProtocolOptions Options(int alpha, int beta, int members) => ProtocolOptions.Lan with
    {
        DirectTimeout = TimeSpan.FromMilliseconds(500),
        IndirectTimeout = TimeSpan.FromMilliseconds(500),
        SuspicionMin = TimeSpan.FromSeconds(alpha * Math.Log10(members)),
        SuspicionMaxFactor = beta,
        Confirmations = beta > 1 ? 3 : 0,
        GossipInterval = TimeSpan.FromMilliseconds(200),
        GossipFanout = 3,
        RetransmitFactor = 4,
        RingProbes = false,
        MonitorConnections = false,
        DeadContactInterval = TimeSpan.FromSeconds(30),
    };

    public static IEnumerable<object[]> FalsePositives(ScenarioSettings settings)
    {
        var members = settings.Members ?? PublishedMembers;
        Tally? swim = null;
        foreach ((var name, var rules, var beta, var published) in Configurations)
        {
            var counted = Count(members, Options(5, beta, members), rules, settings);
            swim ??= counted;
            yield return Row(name, counted, swim.Value, published);
        }
        yield return Row("ours, default", Count(members, settings.Options, ProtocolRules.Default, settings), swim!.Value, "-");
    }

    private static object[] Row(string name, Tally counted, Tally swim, string published) =>
    [
        name, counted.All, counted.Healthy, $"{Share(counted.All, swim.All)} / {Share(counted.Healthy, swim.Healthy)}",
        published, $"{Share(counted.Sent.Packets, swim.Sent.Packets)} / {Share(counted.Sent.Bytes, swim.Sent.Bytes)}",
    ];

    private static string Share(long count, long swim) => (100.0 * count / Math.Max(1, swim)).ToString("0.##", CultureInfo.InvariantCulture);

    private static Tally Count(int members, ProtocolOptions options, ProtocolRules rules, ScenarioSettings settings)
    {
        (long all, long healthy) = (0, 0);
        Traffic sent = default;
        var experiments = from run in Enumerable.Range(0, settings.Runs ?? 1)
                          from slow in new[] { members / 32, members / 8, members / 4 }
                          from cycle in Cycles
                          select (slow, cycle);
        foreach ((var index, (var slow, var cycle)) in experiments.Index())
        {
            var world = settings.Form(members, options, rules, index);
            world.Reported = (viewer, what, about) =>
            {
                if (what != CoreEvent.Died || world.Members.First(member => member.Name == about.Name).Index < slow)
                    return;
                all++;
                healthy += viewer.Index >= slow ? 1 : 0;
            };
            var before = Traffic.Of(world);
            // The shortest pauses between blocks do not suffice for the backlog.
            world.HandlingTime = FaultScenarios.BacklogTime;
            FaultScenarios.Block(world, slow, TimeSpan.FromSeconds(cycle.Blocked), TimeSpan.FromSeconds(cycle.Free), 120 * Scenario.Second);
            sent += Traffic.Of(world) - before;
        }
        return new Tally(all, healthy, sent);
    }

    /// <summary>Section V-C: several true failures at once, so that indirect probes also go to failed members.</summary>
    public static IEnumerable<object[]> Latency(ScenarioSettings settings)
    {
        var members = settings.Members ?? PublishedMembers;
        return
        [
            LatencyRow("Lifeguard, alpha 5", "12.4 / 12.9", Options(5, 6, members), ProtocolVariant.Lifeguard, members, settings),
            LatencyRow("Lifeguard, alpha 4", "-15 %", Options(4, 6, members), ProtocolVariant.Lifeguard, members, settings),
            LatencyRow("Lifeguard, alpha 2", "-43 %", Options(2, 6, members), ProtocolVariant.Lifeguard, members, settings),
            LatencyRow("ours, default", "-", settings.Options, ProtocolRules.Default, members, settings),
        ];
    }

    private static object[] LatencyRow(
        string name, string published, ProtocolOptions options, ProtocolRules rules, int members, ScenarioSettings settings)
    {
        (Sample first, Sample last) = (new(), new());
        var runs = settings.Runs ?? 2 * Concurrency.Length;
        for (var run = 0; run < runs; run++)
            Crash(settings.Form(members, options, rules, run), Math.Max(1, Concurrency[run % Concurrency.Length] * members / PublishedMembers), first, last);
        return [name, first.Quantile(0.5), last.Quantile(0.5), published, runs];
    }

    private static void Crash(MembershipWorld world, int victims, Sample first, Sample last)
    {
        var start = world.Now;
        var survivors = world.Members.Count - victims;
        var deaths = new Dictionary<string, List<TimeSpan>>(StringComparer.Ordinal);
        var missing = victims * survivors;
        for (var i = 1; i <= victims; i++)
        {
            world.Members[i].HostLost = true;
            deaths[world.Members[i].Name] = [];
        }
        world.Reported = (_, what, about) =>
        {
            if (what != CoreEvent.Died || !deaths.TryGetValue(about.Name, out var times))
                return;
            times.Add(world.Now - start);
            missing--;
        };
        if (!world.RunUntil(() => missing == 0, TimeSpan.FromMinutes(5)))
            world.Fail($"{missing} of {victims * survivors} verdicts are missing");
        foreach (var times in deaths.Values)
        {
            first.Add(times[0]);
            last.Add(times[^1]);
        }
    }

    private readonly record struct Tally(long All, long Healthy, Traffic Sent);
}
