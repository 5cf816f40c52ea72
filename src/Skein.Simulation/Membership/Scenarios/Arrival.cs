using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>One member joins a group at rest.</summary>
internal sealed class Join : IMembershipScenario
{
    public string Name => "join";

    public string Summary => "One member joins: seconds until all know it; without and with a tenth of all datagrams lost";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(5, 32, 128))
            foreach (var loss in new[] { 0, 100 })
                rows.Add(Row(members, loss, settings));
        return new SimulationTable("", ["members", "loss", "p50", "p99", "p99.9", "max", "joins"], rows);
    }

    private static string[] Row(int members, int lossPermille, ScenarioSettings settings)
    {
        var times = new Sample();
        var joins = settings.Runs ?? (members > 100 ? 60 : 1000);
        var world = Stage.Formed(members, settings.Seed, settings.Options, settings.Settled);
        world.Link = world.Link with { LossPermille = lossPermille };
        for (var i = 0; i < joins; i++)
        {
            var known = 0;
            var name = $"new-{i}";
            world.Reported = (_, what, about) => known += what == CoreEvent.Joined && about.Name == name ? 1 : 0;
            var start = world.Now;
            var newcomer = world.Start(name, at: null, world.Members[world.Random.Next(members)]);
            if (!world.RunUntil(() => known == members, 120 * Stage.Second))
                world.Fail($"{name} is known to {known} of {members} only");
            times.Add(world.Now - start);
            world.Do(newcomer, static (core, now) => core.Leave(now));
            world.RunFor(2 * Stage.Second);
        }
        return
        [
            Stage.Number(members), $"{lossPermille / 10} %", Sample.Text(times.Quantile(0.5)), Sample.Text(times.Quantile(0.99)),
            Sample.Text(times.Quantile(0.999)), Sample.Text(times.Max), Stage.Number(joins),
        ];
    }
}

/// <summary>All members start at once.</summary>
internal sealed class Bootstrap : IMembershipScenario
{
    public string Name => "bootstrap";

    public string Summary => "All members start at once with one seed: seconds until all views are whole and equal (median / max of the runs)";

    public SimulationTable Run(ScenarioSettings settings)
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
                if (!world.RunUntil(world.FormedCheck(members), 300 * Stage.Second))
                    world.Fail("the group did not form");
                times.Add(world.Now);
            }
            rows.Add([Stage.Number(members), times.MedianAndMax, Stage.Number(runs)]);
        }
        return new SimulationTable("", ["members", "seconds", "runs"], rows);
    }
}

/// <summary>A process is killed and comes back under its name at once.</summary>
internal sealed class Restart : IMembershipScenario
{
    public string Name => "restart";

    public string Summary => "A killed process restarts at once under its name: seconds until all see the new life (median / max of the runs)";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(3, 32))
            foreach (var elsewhere in new[] { false, true })
                rows.Add(Row(members, elsewhere, settings));
        return new SimulationTable("", ["members", "address", "seconds", "runs"], rows);
    }

    private static string[] Row(int members, bool elsewhere, ScenarioSettings settings)
    {
        var times = new Sample();
        var runs = settings.Runs ?? 100;
        for (var run = 0; run < runs; run++)
        {
            var world = Stage.Formed(members, settings.Seed + (ulong)run, settings.Options, settings.Settled);
            var old = world.Members[1];
            old.Crashed = true;
            var start = world.Now;
            var next = world.Start(old.Name, elsewhere ? null : old, world.Members[0]);
            var seen = world.RunUntil(
                () => world.Running.All(viewer => viewer.View(next.Name) is { IsLive: true } record
                    && record.Generation == next.Core.Table.Self.Generation && next.Core.Phase == CorePhase.Active),
                60 * Stage.Second);
            if (!seen)
                world.Fail("the new life is not seen by all");
            times.Add(world.Now - start);
        }
        return [Stage.Number(members), elsewhere ? "another" : "the same", times.MedianAndMax, Stage.Number(runs)];
    }
}
