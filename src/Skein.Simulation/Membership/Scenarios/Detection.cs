namespace Skein.Simulation.Membership.Scenarios;

internal static class Detection
{
    public static IEnumerable<object[]> HostLost(ScenarioSettings settings) => Rows(settings, static victim => victim.HostLost = true);

    public static IEnumerable<object[]> ProcessKilled(ScenarioSettings settings) => Rows(settings, static victim => victim.Crashed = true);

    private static IEnumerable<object[]> Rows(ScenarioSettings settings, Action<SimulatedMember> kill)
    {
        foreach (var members in settings.Sizes(3, 5, 32, 128))
        {
            (Sample first, Sample last, Sample spread) = (new(), new(), new());
            long falseDeaths = 0;
            var runs = settings.Runs ?? (members > 100 ? 30 : 100);
            foreach (var world in settings.FormEach(runs, members))
            {
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
            yield return [members, first.MedianAndMax, last.MedianAndMax, spread.MedianAndMax, falseDeaths, runs];
        }
    }
}
