using System.Globalization;
using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Settings of Dadgar, Phillips, Currey: Lifeguard, DSN 2018, section V.</summary>
internal static class LifeguardPaper
{
    public const int Members = 128;

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

    public static (string Name, ProtocolRules Rules, int Beta)[] Configurations { get; } =
    [
        ("SWIM", ProtocolVariant.Swim, 1),
        ("LHA-Probe", ProtocolVariant.Swim with { LocalHealth = true }, 1),
        ("LHA-Suspicion", ProtocolVariant.Swim, 6),
        ("Buddy", ProtocolVariant.Swim with { Buddy = true }, 1),
        ("Lifeguard", ProtocolVariant.Lifeguard, 6),
    ];
}

internal static class LifeguardFalsePositives
{
    private static readonly string[] Published = ["100 / 100", "67.7 / 32.9", "3.0 / 6.7", "94.1 / 44.6", "1.53 / 1.89"];
    private static readonly (double Blocked, double Free)[] Cycles =
        [(2.048, 0.001), (8.192, 0.001), (8.192, 0.016), (16.384, 0.001), (16.384, 1.024), (32.768, 0.001), (32.768, 0.064), (32.768, 4.096)];

    /// <summary>Time for one datagram: the shortest pauses between blocks do not suffice for the backlog.</summary>
    private static readonly TimeSpan HandlingTime = TimeSpan.FromMicroseconds(50);

    public static SimulationTable Run(ScenarioSettings settings)
    {
        var members = settings.Members ?? LifeguardPaper.Members;
        var rows = new List<IReadOnlyList<string>>();
        Tally? swim = null;
        foreach ((var name, var rules, var beta) in LifeguardPaper.Configurations)
        {
            var counted = Count(members, LifeguardPaper.Options(5, beta, members), rules, settings);
            swim ??= counted;
            rows.Add(Row(name, counted, swim.Value, Published[rows.Count]));
        }
        rows.Add(Row("ours, default", Count(members, settings.Options, ProtocolRules.Default, settings), swim!.Value, "-"));
        return new SimulationTable("", ["protocol", "deaths", "at healthy", "% of SWIM", "published %", "messages / bytes %"], rows);
    }

    private static string[] Row(string name, Tally counted, Tally swim, string published) =>
    [
        name, Scenario.Number(counted.All), Scenario.Number(counted.Healthy), $"{Share(counted.All, swim.All)} / {Share(counted.Healthy, swim.Healthy)}",
        published, $"{Share(counted.Sent.Packets, swim.Sent.Packets)} / {Share(counted.Sent.Bytes, swim.Sent.Bytes)}",
    ];

    private static string Share(long count, long swim) => (100.0 * count / Math.Max(1, swim)).ToString("0.##", CultureInfo.InvariantCulture);

    private static Tally Count(int members, ProtocolOptions options, ProtocolRules rules, ScenarioSettings settings)
    {
        (long all, long healthy) = (0, 0);
        Traffic sent = default;
        var seed = settings.Seed;
        for (var run = 0; run < (settings.Runs ?? 1); run++)
        {
            foreach (var slow in new[] { members / 32, members / 8, members / 4 })
            {
                foreach ((var blocked, var free) in Cycles)
                {
                    var world = Scenario.Formed(members, seed++, options, settings.Settled, rules);
                    world.Reported = (viewer, what, about) =>
                    {
                        if (what != CoreEvent.Died || world.Members.First(member => member.Name == about.Name).Index < slow)
                            return;
                        all++;
                        healthy += viewer.Index >= slow ? 1 : 0;
                    };
                    var before = Traffic.Of(world);
                    world.HandlingTime = HandlingTime;
                    Blocking.Repeat(world, slow, TimeSpan.FromSeconds(blocked), TimeSpan.FromSeconds(free), 120 * Scenario.Second);
                    sent += Traffic.Of(world) - before;
                }
            }
        }
        return new Tally(all, healthy, sent);
    }

    private readonly record struct Tally(long All, long Healthy, Traffic Sent);
}

/// <summary>Section V-C: several true failures at once, so that indirect probes also go to failed members.</summary>
internal static class LifeguardLatency
{
    private static readonly int[] Concurrency = [1, 4, 8, 12, 16, 20, 24, 28, 32];

    public static SimulationTable Run(ScenarioSettings settings)
    {
        var members = settings.Members ?? LifeguardPaper.Members;
        return new SimulationTable("", ["protocol", "first", "last", "published", "runs"],
        [
            Row("Lifeguard, alpha 5", "12.4 / 12.9", LifeguardPaper.Options(5, 6, members), ProtocolVariant.Lifeguard, members, settings),
            Row("Lifeguard, alpha 4", "-15 %", LifeguardPaper.Options(4, 6, members), ProtocolVariant.Lifeguard, members, settings),
            Row("Lifeguard, alpha 2", "-43 %", LifeguardPaper.Options(2, 6, members), ProtocolVariant.Lifeguard, members, settings),
            Row("ours, default", "-", settings.Options, ProtocolRules.Default, members, settings),
        ]);
    }

    private static string[] Row(
        string name, string published, ProtocolOptions options, ProtocolRules rules, int members, ScenarioSettings settings)
    {
        (Sample first, Sample last) = (new(), new());
        var runs = settings.Runs ?? 2 * Concurrency.Length;
        for (var run = 0; run < runs; run++)
        {
            var world = Scenario.Formed(members, settings.Seed + (ulong)run, options, settings.Settled, rules);
            Crash(world, Math.Max(1, Concurrency[run % Concurrency.Length] * members / LifeguardPaper.Members), first, last);
        }
        return [name, Sample.Text(first.Quantile(0.5)), Sample.Text(last.Quantile(0.5)), published, Scenario.Number(runs)];
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
}
