using Skein.Membership;

namespace Skein.Simulation.Membership.Scenarios;

internal static class Partition
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        int[] lengths = [10, 60, 3600];
        var rows = from members in settings.Sizes(4, 32, 128)
                   from seconds in lengths
                   where members < 100 || seconds < 100
                   select Row(members, seconds, settings);
        return new SimulationTable("", ["members", "cut for", "healed after", "runs"], [.. rows]);
    }

    private static string[] Row(int members, int seconds, ScenarioSettings settings)
    {
        var times = new Sample();
        var runs = settings.Runs ?? (members > 100 ? 3 : 20);
        for (var run = 0; run < runs; run++)
        {
            var world = Scenario.Formed(members, settings.Seed + (ulong)run, settings.Options, settings.Settled);
            world.Passes = (from, to) => from.Index < members / 2 == to.Index < members / 2;
            world.RunFor(seconds * Scenario.Second);
            world.Passes = static (_, _) => true;
            var start = world.Now;
            if (!world.RunUntil(world.FormedCheck(members), 120 * Scenario.Second))
                world.Fail("the halves did not find each other");
            times.Add(world.Now - start);
        }
        return [Scenario.Number(members), $"{seconds} s", times.MedianAndMax, Scenario.Number(runs)];
    }
}

internal static class SlowMembers
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>
        {
            Row(settings.Members ?? 128, 16.4, 1.0, TimeSpan.Zero, "lan", settings),
            Row(settings.Members ?? 128, 16.4, 1.0, BacklogTime, "lan", settings),
            Row(settings.Members ?? 128, 4.1, 1.0, TimeSpan.Zero, "lan", settings),
            Row(settings.Members ?? 128, 4.1, 1.0, BacklogTime, "lan", settings),
            Row(settings.Members ?? 32, 1.0, 0.5, TimeSpan.Zero, "fast", settings),
            Row(settings.Members ?? 32, 1.0, 0.5, BacklogTime, "fast", settings),
        };
        return new SimulationTable(
            "", ["members", "profile", "D / I", "us a datagram", "suspicions", "deaths", "at healthy", "of healthy", "worst run", "runs"], rows);
    }

    /// <summary>Time for one datagram, which creates a backlog after a block.</summary>
    private static readonly TimeSpan BacklogTime = TimeSpan.FromMicroseconds(50);

    private static string[] Row(int members, double blocked, double free, TimeSpan handling, string profile, ScenarioSettings settings)
    {
        (long suspicions, long deaths, long atHealthy, long ofHealthy, long worst) = (0, 0, 0, 0, 0);
        var runs = settings.Runs ?? 10;
        for (var run = 0; run < runs; run++)
        {
            var options = (settings with { Profile = profile }).Options;
            var world = Scenario.Formed(members, settings.Seed + (ulong)run, options, settings.Settled);
            var slow = members / 4;
            var count = new DeathCount(world, member => member.Index >= slow);
            world.HandlingTime = handling;
            Blocking.Repeat(world, slow, TimeSpan.FromSeconds(blocked), TimeSpan.FromSeconds(free), 120 * Scenario.Second);
            suspicions += count.Suspicions;
            deaths += count.False;
            atHealthy += count.FalseAtHealthy;
            ofHealthy += count.HealthyVictims;
            worst = Math.Max(worst, count.False);
        }
        return
        [
            Scenario.Number(members), profile, $"{Sample.Text(blocked)} / {Sample.Text(free)} s", Sample.Text(handling.TotalMicroseconds),
            Scenario.Number(suspicions / runs),
            Sample.Text((double)deaths / runs), Sample.Text((double)atHealthy / runs), Sample.Text((double)ofHealthy / runs),
            Scenario.Number(worst), Scenario.Number(runs),
        ];
    }
}

/// <summary>Lifeguard's anomaly: the first members of a world repeatedly cannot send and receive for a while.</summary>
internal static class Blocking
{
    public static void Repeat(MembershipWorld world, int slow, TimeSpan blocked, TimeSpan free, TimeSpan length)
    {
        var end = world.Now + length;
        while (world.Now < end)
        {
            var until = world.Now + blocked;
            for (var i = 0; i < slow; i++)
            {
                // Delayed packets are sent before delayed packets are received.
                world.Members[i].SendsFrom = until;
                world.Members[i].ReceivesFrom = until + TimeSpan.FromTicks(1);
            }
            var cycle = blocked + free;
            world.RunFor(world.Now + cycle < end ? cycle : end - world.Now);
        }
        for (var i = 0; i < slow; i++)
            world.Members[i].SendsFrom = world.Members[i].ReceivesFrom = world.Now;
    }
}

internal static class PacketLoss
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        var members = settings.Members ?? 128;
        foreach (var percent in new[] { 5, 20 })
        {
            var world = Scenario.Formed(members, settings.Seed, settings.Options, settings.Settled);
            world.Link = world.Link with { LossPermille = percent * 10 };
            var count = new DeathCount(world, static _ => true);
            var minutes = settings.Runs ?? 60;
            world.RunFor(TimeSpan.FromMinutes(minutes));
            rows.Add([Scenario.Number(members), $"{percent} %", $"{minutes} min", Scenario.Number(count.Suspicions), Scenario.Number(count.False)]);
        }
        return new SimulationTable("", ["members", "loss", "length", "suspicions", "deaths"], rows);
    }
}

internal static class WideArea
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        var members = settings.Members ?? 32;
        foreach (var percent in new[] { 0, 5 })
        {
            var world = Scenario.Formed(members, settings.Seed, ProtocolOptions.Wan, settings.Settled);
            world.Link = new LinkModel { Latency = TimeSpan.FromMilliseconds(100), Jitter = TimeSpan.FromMilliseconds(150), LossPermille = percent * 10 };
            var count = new DeathCount(world, static _ => true);
            world.RunFor(TimeSpan.FromMinutes(settings.Runs ?? 10));
            var lost = world.Members[members / 2];
            count.ExpectDeath(lost.Name);
            lost.HostLost = true;
            var start = world.Now;
            if (!world.RunUntil(() => world.Running.All(member => member.StateOf(lost.Name) == MemberState.Dead), 300 * Scenario.Second))
                world.Fail($"{lost.Name} is not dead everywhere");
            var detected = Sample.Text((world.Now - start).TotalSeconds);
            rows.Add([Scenario.Number(members), $"{percent} %", Scenario.Number(count.Suspicions), Scenario.Number(count.False), detected]);
        }
        return new SimulationTable("", ["members", "loss", "suspicions", "deaths", "last dead"], rows);
    }
}
