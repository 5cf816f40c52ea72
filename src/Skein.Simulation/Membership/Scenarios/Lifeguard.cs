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
        WatchConnections = false,
        DeadContactInterval = TimeSpan.FromSeconds(30),
    };

    public static (string Name, ProtocolVariant Variant, int Beta)[] Configurations { get; } =
    [
        ("SWIM", ProtocolVariant.Swim, 1),
        ("LHA-Probe", ProtocolVariant.Swim with { LocalHealth = true }, 1),
        ("LHA-Suspicion", ProtocolVariant.Swim, 6),
        ("Buddy", ProtocolVariant.Swim with { Buddy = true }, 1),
        ("Lifeguard", ProtocolVariant.Lifeguard, 6),
    ];
}

/// <summary>Table IV.</summary>
internal sealed class LifeguardFalsePositives : IMembershipScenario
{
    private static readonly string[] Published = ["100 / 100", "67.7 / 32.9", "3.0 / 6.7", "94.1 / 44.6", "1.53 / 1.89"];
    private static readonly (double Blocked, double Free)[] Cycles = [(8.192, 0.016), (16.384, 1.024), (32.768, 0.064), (32.768, 4.096)];

    public string Name => "lifeguard-4";

    public string Summary => "Lifeguard Table IV: deaths of members that were never blocked, all and at such members, in % of SWIM's";

    public SimulationTable Run(ScenarioSettings settings)
    {
        int members = settings.Members ?? LifeguardPaper.Members;
        var rows = new List<IReadOnlyList<string>>();
        (long All, long Healthy) swim = (0, 0);
        foreach ((string name, ProtocolVariant variant, int beta) in LifeguardPaper.Configurations)
        {
            (long All, long Healthy) counted = Count(members, LifeguardPaper.Options(5, beta, members), variant, settings);
            if (rows.Count == 0)
                swim = counted;
            rows.Add([name, Stage.Number(counted.All), Stage.Number(counted.Healthy), Share(counted, swim), Published[rows.Count]]);
        }
        (long All, long Healthy) ours = Count(members, settings.Options, ProtocolVariant.Full, settings);
        rows.Add(["ours, default", Stage.Number(ours.All), Stage.Number(ours.Healthy), Share(ours, swim), "-"]);
        return new SimulationTable("", ["protocol", "deaths", "at healthy", "% of SWIM", "published %"], rows);
    }

    private static string Share((long All, long Healthy) counted, (long All, long Healthy) swim) => string.Create(
        CultureInfo.InvariantCulture,
        $"{100.0 * counted.All / Math.Max(1, swim.All):0.##} / {100.0 * counted.Healthy / Math.Max(1, swim.Healthy):0.##}");

    private static (long All, long Healthy) Count(int members, ProtocolOptions options, ProtocolVariant variant, ScenarioSettings settings)
    {
        (long all, long healthy) = (0, 0);
        ulong seed = settings.Seed;
        for (int run = 0; run < (settings.Runs ?? 1); run++)
        {
            foreach (int slow in new[] { members / 32, members / 8, members / 4 })
            {
                foreach ((double blocked, double free) in Cycles)
                {
                    MembershipWorld world = Stage.Formed(members, seed++, options, variant);
                    world.Reported = (viewer, what, about) =>
                    {
                        if (what != CoreEvent.Died || world.Members.First(member => member.Name == about.Name).Index < slow)
                            return;
                        all++;
                        healthy += viewer.Index >= slow ? 1 : 0;
                    };
                    Blocking.Repeat(world, slow, TimeSpan.FromSeconds(blocked), TimeSpan.FromSeconds(free), 120 * Stage.Second);
                }
            }
        }
        return (all, healthy);
    }
}

/// <summary>Section V-C: true failures.</summary>
internal sealed class LifeguardLatency : IMembershipScenario
{
    public string Name => "lifeguard-latency";

    public string Summary => "Lifeguard, members that really crash: median seconds to the first and the last detection";

    public SimulationTable Run(ScenarioSettings settings)
    {
        int members = settings.Members ?? LifeguardPaper.Members;
        return new SimulationTable("", ["protocol", "first", "last", "published", "runs"],
        [
            Row("Lifeguard, alpha 5", "12.4 / 12.9", LifeguardPaper.Options(5, 6, members), ProtocolVariant.Lifeguard, members, settings),
            Row("Lifeguard, alpha 4", "-15 %", LifeguardPaper.Options(4, 6, members), ProtocolVariant.Lifeguard, members, settings),
            Row("Lifeguard, alpha 2", "-43 %", LifeguardPaper.Options(2, 6, members), ProtocolVariant.Lifeguard, members, settings),
            Row("ours, default", "-", settings.Options, ProtocolVariant.Full, members, settings),
        ]);
    }

    private static string[] Row(
        string name, string published, ProtocolOptions options, ProtocolVariant variant, int members, ScenarioSettings settings)
    {
        (Sample first, Sample last) = (new(), new());
        int runs = settings.Runs ?? 20;
        for (int run = 0; run < runs; run++)
        {
            MembershipWorld world = Stage.Formed(members, settings.Seed + (ulong)run, options, variant);
            SimulatedMember victim = world.Members[1 + run % (members - 1)];
            TimeSpan start = world.Now;
            var deaths = new List<TimeSpan>();
            world.Reported = (_, what, about) =>
            {
                if (what == CoreEvent.Died && about.Name == victim.Name)
                    deaths.Add(world.Now - start);
            };
            victim.HostLost = true;
            world.RunUntil(() => deaths.Count == members - 1, TimeSpan.FromMinutes(5));
            first.Add(deaths[0]);
            last.Add(deaths[^1]);
        }
        return [name, Sample.Text(first.Quantile(0.5)), Sample.Text(last.Quantile(0.5)), published, Stage.Number(runs)];
    }
}
