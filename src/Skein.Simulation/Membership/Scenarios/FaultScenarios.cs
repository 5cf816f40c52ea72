namespace Skein.Simulation.Membership.Scenarios;

internal static class FaultScenarios
{
    /// <summary>Time for one datagram, which creates a backlog after a block.</summary>
    public static readonly TimeSpan BacklogTime = TimeSpan.FromMicroseconds(50);

    public static IEnumerable<object[]> Partition(ScenarioSettings settings)
    {
        int[] lengths = [10, 60, 3600];
        foreach (var members in settings.Sizes(4, 32, 128))
        {
            foreach (var seconds in lengths.Where(seconds => members < 100 || seconds < 100))
            {
                var times = new Sample();
                var runs = settings.Runs ?? (members > 100 ? 3 : 20);
                foreach (var world in settings.FormEach(runs, members))
                {
                    world.Passes = (from, to) => from.Index < members / 2 == to.Index < members / 2;
                    world.RunFor(seconds * Scenario.Second);
                    world.Passes = static (_, _) => true;
                    var start = world.Now;
                    if (!world.RunUntil(world.FormedCheck(members), 120 * Scenario.Second))
                        world.Fail("the halves did not find each other");
                    times.Add(world.Now - start);
                }
                yield return [members, $"{seconds} s", times.MedianAndMax, runs];
            }
        }
    }

    public static IEnumerable<object[]> SlowMembers(ScenarioSettings settings)
    {
        (int Members, double Blocked, double Free, string Profile)[] cases = [(128, 16.4, 1.0, "lan"), (128, 4.1, 1.0, "lan"), (32, 1.0, 0.5, "fast")];
        return from each in cases
               from handling in new[] { TimeSpan.Zero, BacklogTime }
               select SlowRow(settings.Members ?? each.Members, each.Blocked, each.Free, handling, settings with { Profile = each.Profile });
    }

    private static object[] SlowRow(int members, double blocked, double free, TimeSpan handling, ScenarioSettings settings)
    {
        (long suspicions, long deaths, long atHealthy, long ofHealthy, long worst) = (0, 0, 0, 0, 0);
        var runs = settings.Runs ?? 10;
        var slow = members / 4;
        foreach (var world in settings.FormEach(runs, members))
        {
            var count = new DeathCount(world, member => member.Index >= slow);
            world.HandlingTime = handling;
            Block(world, slow, TimeSpan.FromSeconds(blocked), TimeSpan.FromSeconds(free), 120 * Scenario.Second);
            suspicions += count.Suspicions;
            deaths += count.False;
            atHealthy += count.FalseAtHealthy;
            ofHealthy += count.HealthyVictims;
            worst = Math.Max(worst, count.False);
        }
        return
        [
            members, settings.Profile, $"{Sample.Text(blocked)} / {Sample.Text(free)} s", handling.TotalMicroseconds,
            suspicions / runs, (double)deaths / runs, (double)atHealthy / runs, (double)ofHealthy / runs, worst, runs,
        ];
    }

    /// <summary>Lifeguard's anomaly: the first members of a world repeatedly cannot send and receive for a while.</summary>
    public static void Block(MembershipWorld world, int slow, TimeSpan blocked, TimeSpan free, TimeSpan length)
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

    public static IEnumerable<object[]> PacketLoss(ScenarioSettings settings)
    {
        var members = settings.Members ?? 128;
        foreach (var percent in new[] { 5, 20 })
        {
            var world = settings.Form(members);
            world.Link = world.Link with { LossPermille = percent * 10 };
            var count = new DeathCount(world, static _ => true);
            var minutes = settings.Runs ?? 60;
            world.RunFor(TimeSpan.FromMinutes(minutes));
            yield return [members, $"{percent} %", $"{minutes} min", count.Suspicions, count.False];
        }
    }

    public static IEnumerable<object[]> WideArea(ScenarioSettings settings)
    {
        var members = settings.Members ?? 32;
        foreach (var percent in new[] { 0, 5 })
        {
            var world = settings.Form(members, ProtocolOptions.Wan);
            world.Link = new LinkModel { Latency = TimeSpan.FromMilliseconds(100), Jitter = TimeSpan.FromMilliseconds(150), LossPermille = percent * 10 };
            var count = new DeathCount(world, static _ => true);
            world.RunFor(TimeSpan.FromMinutes(settings.Runs ?? 10));
            var lost = world.Members[members / 2];
            count.Expected = lost.Name;
            lost.HostLost = true;
            var start = world.Now;
            if (!world.RunUntil(() => world.Running.All(member => member.StateOf(lost.Name) == MemberState.Dead), 300 * Scenario.Second))
                world.Fail($"{lost.Name} is not dead everywhere");
            yield return [members, $"{percent} %", count.Suspicions, count.False, (world.Now - start).TotalSeconds];
        }
    }
}
