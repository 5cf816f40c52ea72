namespace Skein.Simulation.Membership.Scenarios;

internal static class Join
{
    public static IEnumerable<object[]> OneMember(ScenarioSettings settings)
    {
        foreach ((var members, var lossPermille) in settings.SizesAndLosses())
        {
            var times = new Sample();
            var joins = settings.Runs ?? (members > 100 ? 60 : 1000);
            var world = settings.Form(members);
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
            yield return [members, $"{lossPermille / 10} %", .. times.Quantiles(0.5, 0.99, 0.999, 1), joins];
        }
    }

    public static IEnumerable<object[]> Bootstrap(ScenarioSettings settings)
    {
        if (settings.Settled)
            throw new ArgumentException("settled is true: bootstrap measures how a group forms; allowed is false");
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
            yield return [members, times.MedianAndMax, runs];
        }
    }

    public static IEnumerable<object[]> Restart(ScenarioSettings settings)
    {
        bool[] moves = [false, true];
        return from members in settings.Sizes(3, 32) from elsewhere in moves select RestartRow(members, elsewhere, settings);
    }

    private static object[] RestartRow(int members, bool elsewhere, ScenarioSettings settings)
    {
        var times = new Sample();
        var runs = settings.Runs ?? 100;
        foreach (var world in settings.FormEach(runs, members))
        {
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
        return [members, elsewhere ? "another" : "the same", times.MedianAndMax, runs];
    }
}
