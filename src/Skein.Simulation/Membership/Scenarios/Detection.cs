using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

internal static class HostLost
{
    public static SimulationTable Run(ScenarioSettings settings) => Detection.Run(settings, static victim => victim.HostLost = true);
}

internal static class ProcessKilled
{
    public static SimulationTable Run(ScenarioSettings settings) => Detection.Run(settings, static victim => victim.Crashed = true);
}

internal static class Detection
{
    public static SimulationTable Run(ScenarioSettings settings, Action<SimulatedMember> kill) => new(
        "", ["members", "first dead", "last dead", "first to last", "false deaths", "runs"],
        [.. settings.Sizes(3, 5, 32, 128).Select(members => Row(members, settings, kill))]);

    private static string[] Row(int members, ScenarioSettings settings, Action<SimulatedMember> kill)
    {
        (Sample first, Sample last, Sample spread) = (new(), new(), new());
        long falseDeaths = 0;
        var runs = settings.Runs ?? (members > 100 ? 30 : 100);
        for (var run = 0; run < runs; run++)
        {
            var world = Scenario.Formed(members, settings.Seed + (ulong)run, settings.Options, settings.Settled);
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
            if (!world.RunUntil(() => deaths.Count == members - 1, 300 * Scenario.Second))
                world.Fail($"{victim.Name} is dead at {deaths.Count} of {members - 1} survivors only");
            first.Add(deaths[0]);
            last.Add(deaths[^1]);
            spread.Add(deaths[^1] - deaths[0]);
        }
        return [Scenario.Number(members), first.MedianAndMax, last.MedianAndMax, spread.MedianAndMax, Scenario.Number(falseDeaths), Scenario.Number(runs)];
    }
}
