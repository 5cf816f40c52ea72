using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

internal static class Join
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        int[] losses = [0, 100];
        var rows = from members in settings.Sizes(5, 32, 128) from loss in losses select Row(members, loss, settings);
        return new SimulationTable("", ["members", "loss", "p50", "p99", "p99.9", "max", "joins"], [.. rows]);
    }

    private static string[] Row(int members, int lossPermille, ScenarioSettings settings)
    {
        var times = new Sample();
        var joins = settings.Runs ?? (members > 100 ? 60 : 1000);
        var world = Scenario.Formed(members, settings.Seed, settings.Options, settings.Settled);
        world.Link = world.Link with { LossPermille = lossPermille };
        for (var i = 0; i < joins; i++)
        {
            var known = 0;
            var name = $"new-{i}";
            world.Reported = (_, what, about) => known += what == CoreEvent.Joined && about.Name == name ? 1 : 0;
            var start = world.Now;
            var newcomer = world.Start(name, at: null, world.Members[world.Random.Next(members)]);
            if (!world.RunUntil(() => known == members, 120 * Scenario.Second))
                world.Fail($"{name} is known to only {known} of {members} members");
            times.Add(world.Now - start);
            world.Do(newcomer, static (core, now) => core.Leave(now));
            world.RunFor(2 * Scenario.Second);
        }
        return
        [
            Scenario.Number(members), $"{lossPermille / 10} %", .. times.Quantiles(0.5, 0.99, 0.999, 1), Scenario.Number(joins),
        ];
    }
}

internal static class Bootstrap
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        if (settings.Settled)
            throw new ArgumentException("settled is true: bootstrap measures how a group forms; allowed is false");
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(32, 128, 512))
        {
            var times = new Sample();
            var runs = settings.Runs ?? (members > 200 ? 3 : 30);
            for (var run = 0; run < runs; run++)
            {
                var world = new MembershipWorld(settings.Seed + (ulong)run, settings.Options);
                world.StartMany(members);
                if (!world.RunUntil(world.FormedCheck(members), 300 * Scenario.Second))
                    world.Fail("the group did not form");
                times.Add(world.Now);
            }
            rows.Add([Scenario.Number(members), times.MedianAndMax, Scenario.Number(runs)]);
        }
        return new SimulationTable("", ["members", "seconds", "runs"], rows);
    }
}

internal static class Restart
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        bool[] moves = [false, true];
        var rows = from members in settings.Sizes(3, 32) from elsewhere in moves select Row(members, elsewhere, settings);
        return new SimulationTable("", ["members", "address", "seconds", "runs"], [.. rows]);
    }

    private static string[] Row(int members, bool elsewhere, ScenarioSettings settings)
    {
        var times = new Sample();
        var runs = settings.Runs ?? 100;
        for (var run = 0; run < runs; run++)
        {
            var world = Scenario.Formed(members, settings.Seed + (ulong)run, settings.Options, settings.Settled);
            var old = world.Members[1];
            old.Crashed = true;
            var start = world.Now;
            var next = world.Start(old.Name, elsewhere ? null : old, world.Members[0]);
            var seen = world.RunUntil(
                () => world.Running.All(viewer => viewer.View(next.Name) is { IsLive: true } record
                    && record.Generation == next.Core.Table.Self.Generation && next.Core.Phase == CorePhase.Active),
                60 * Scenario.Second);
            if (!seen)
                world.Fail("not all members see the new generation");
            times.Add(world.Now - start);
        }
        return [Scenario.Number(members), elsewhere ? "another" : "the same", times.MedianAndMax, Scenario.Number(runs)];
    }
}
