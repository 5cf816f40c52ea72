using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>A host is cut off without a word.</summary>
internal sealed class HostLost : IMembershipScenario
{
    public string Name => "host-lost";

    public string Summary => "A host vanishes: seconds until the first and the last survivor know (median / max of the runs)";

    public SimulationTable Run(ScenarioSettings settings) => Detection.Run(settings, static victim => victim.HostLost = true);
}

/// <summary>kill -9 on a host that lives on.</summary>
internal sealed class ProcessKilled : IMembershipScenario
{
    public string Name => "process-killed";

    public string Summary => "kill -9 on a live host: seconds until the first and the last survivor know (median / max of the runs)";

    public SimulationTable Run(ScenarioSettings settings) => Detection.Run(settings, static victim => victim.Crashed = true);
}

internal static class Detection
{
    public static SimulationTable Run(ScenarioSettings settings, Action<SimulatedMember> kill)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(3, 5, 32, 128))
            rows.Add(Row(members, settings, kill));
        return new SimulationTable("", ["members", "first dead", "last dead", "first to last", "false deaths", "runs"], rows);
    }

    private static string[] Row(int members, ScenarioSettings settings, Action<SimulatedMember> kill)
    {
        (Sample first, Sample last, Sample spread) = (new(), new(), new());
        long falseDeaths = 0;
        var runs = settings.Runs ?? (members > 100 ? 30 : 100);
        for (var run = 0; run < runs; run++)
        {
            var world = Stage.Formed(members, settings.Seed + (ulong)run, settings.Options, settings.Settled);
            var victim = world.Members[1 + world.Random.Next(members - 1)];
            var start = world.Now;
            var deaths = new List<TimeSpan>();
            world.Reported = (_, what, about) =>
            {
                if (what != CoreEvent.Died)
                    return;
                if (about.Name == victim.Name)
                    deaths.Add(world.Now - start);
                else
                    falseDeaths++;
            };
            kill(victim);
            if (!world.RunUntil(() => deaths.Count == members - 1, 300 * Stage.Second))
                world.Fail($"{victim.Name} is dead at {deaths.Count} of {members - 1} survivors only");
            first.Add(deaths[0]);
            last.Add(deaths[^1]);
            spread.Add(deaths[^1] - deaths[0]);
        }
        return [Stage.Number(members), first.MedianAndMax, last.MedianAndMax, spread.MedianAndMax, Stage.Number(falseDeaths), Stage.Number(runs)];
    }
}
