namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Suresh, Malkhi et al.: Stable and Consistent Membership at Scale with Rapid, ATC 2018, figures 8 to 10.</summary>
internal static class RapidFlipFlop
{
    public static IEnumerable<object[]> Rows(ScenarioSettings settings) =>
    [
        Row("crash", settings, Crash),
        Row("deaf for 20 s of each 40 s", settings, FlipFlop),
        Row("80 % of what it sends is lost", settings, LoseMost),
    ];

    private static void Crash(MembershipWorld world, int faulty)
    {
        for (var i = 1; i <= faulty; i++)
            world.Members[i].HostLost = true;
    }

    private static void FlipFlop(MembershipWorld world, int faulty) =>
        world.Passes = (_, to) => !IsFaulty(to.Index, faulty) || (long)world.Now.TotalSeconds / 20 % 2 == 0;

    private static void LoseMost(MembershipWorld world, int faulty) =>
        world.Passes = (from, _) => !IsFaulty(from.Index, faulty) || world.Random.Chance(200);

    private static object[] Row(string fault, ScenarioSettings settings, Action<MembershipWorld, int> breakThem)
    {
        var members = settings.Members ?? 1000;
        var faulty = Math.Max(1, members / 100);
        var world = settings.Form(members);
        var start = world.Now;
        var dead = new HashSet<(int Viewer, int About)>();
        var (deaths, changes) = (new Dictionary<(int Viewer, int About), int>(), new Dictionary<(int Viewer, int About), int>());
        long healthyDeaths = 0;
        var last = TimeSpan.Zero;
        world.Reported = (viewer, what, about) =>
        {
            if (IsFaulty(viewer.Index, faulty))
                return;
            var pair = (viewer.Index, About: IndexOf(about));
            if (what == CoreEvent.Died && !IsFaulty(pair.About, faulty))
                healthyDeaths++;
            else if (what == CoreEvent.Died && dead.Add(pair))
                (deaths[pair], changes[pair], last) = (deaths.GetValueOrDefault(pair) + 1, changes.GetValueOrDefault(pair) + 1, world.Now - start);
            else if (what == CoreEvent.Refuted && dead.Remove(pair))
                changes[pair] = changes.GetValueOrDefault(pair) + 1;
        };
        breakThem(world, faulty);
        world.RunFor(TimeSpan.FromMinutes(settings.Runs ?? 10));
        return
        [
            fault, faulty, healthyDeaths, deaths.Values.DefaultIfEmpty().Max(), changes.Values.DefaultIfEmpty().Max(),
            last == TimeSpan.Zero ? "-" : last.TotalSeconds,
        ];
    }

    private static bool IsFaulty(int index, int faulty) => index >= 1 && index <= faulty;

    private static int IndexOf(MemberRecord record) => int.Parse(record.Name.AsSpan(2), System.Globalization.CultureInfo.InvariantCulture);
}
