namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Das, Gupta, Motivala: SWIM, DSN 2002, section 5.</summary>
internal static class Swim
{
    private static ProtocolVariant Plain { get; } = ProtocolVariant.Swim with
    {
        RandomTargets = true, CommonPeriods = true, Suspicion = false, SendsGossip = false,
    };

    private static ProtocolOptions Options { get; } = ProtocolOptions.Lan with
    {
        ProbePeriod = TimeSpan.FromSeconds(2),
        DirectTimeout = TimeSpan.FromMilliseconds(500),
        IndirectTimeout = TimeSpan.FromMilliseconds(1500),
        IndirectProbes = 1,
        // lambda ln n with lambda = 3, converted to the decimal logarithm of this implementation.
        RetransmitFactor = 7,
        RingProbes = false,
        MonitorConnections = false,
        DeadContactInterval = TimeSpan.FromHours(1),
    };

    /// <summary>Runs until just before all members begin a period.</summary>
    private static void GoToEndOfPeriod(MembershipWorld world)
    {
        var period = Options.ProbePeriod.Ticks;
        world.RunFor(TimeSpan.FromTicks(2 * period - world.Now.Ticks % period - TimeSpan.TicksPerMillisecond));
    }

    public static IEnumerable<object[]> Detection(ScenarioSettings settings)
    {
        foreach (var members in settings.Sizes(8, 16, 32, 64, 128, 256))
        {
            var periods = new Sample();
            var crashes = settings.Runs ?? 1000;
            for (var seed = settings.Seed; periods.Count < crashes; seed++)
                CrashSome((settings with { Seed = seed }).Form(members, Options, Plain), Math.Max(1, members / 16), periods);
            yield return [members, periods.Mean, "1.58", periods.Count];
        }
    }

    private static void CrashSome(MembershipWorld world, int crashes, Sample periods)
    {
        for (var i = 0; i < crashes; i++)
        {
            GoToEndOfPeriod(world);
            var victim = world.Members[1 + i];
            TimeSpan? found = null;
            world.Reported = (_, what, about) => found ??= what == CoreEvent.Died && about.Name == victim.Name ? world.Now : null;
            var start = world.Now;
            victim.HostLost = true;
            if (!world.RunUntil(() => found is not null, TimeSpan.FromMinutes(5)))
                world.Fail($"{victim.Name} was not detected");
            periods.Add(Math.Floor((found!.Value - start) / Options.ProbePeriod));
            world.RunFor(4 * Options.ProbePeriod);
        }
    }

    public static IEnumerable<object[]> Messages(ScenarioSettings settings)
    {
        foreach (var members in settings.Sizes(8, 28, 56))
        {
            var world = settings.Form(members, Options, Plain);
            world.RunFor(20 * Options.ProbePeriod);
            GoToEndOfPeriod(world);
            var sent = new Sample();
            var below = 0;
            for (var period = 0; period < (settings.Runs ?? 200); period++)
            {
                long[] before = [.. world.Members.Select(static member => member.SentPackets)];
                world.RunFor(Options.ProbePeriod);
                foreach (var member in world.Members)
                {
                    var messages = member.SentPackets - before[member.Index];
                    sent.Add(messages);
                    below += messages < 5 ? 1 : 0;
                }
            }
            yield return [members, sent.Mean, "2.0", (double)below / sent.Count];
        }
    }

    public static IEnumerable<object[]> Infection(ScenarioSettings settings)
    {
        foreach (var members in settings.Sizes(8, 16, 28, 56, 256))
        {
            (Sample median, Sample last) = (new(), new());
            var world = settings.Form(members, Options, Plain);
            world.RunFor(60 * Options.ProbePeriod);
            for (var rumour = 0; rumour < (settings.Runs ?? 50); rumour++)
                Spread(world, median, last);
            yield return [members, median.Quantile(0.5), members <= 56 ? "1 - 3" : "-", last.Quantile(0.5)];
        }
    }

    private static void Spread(MembershipWorld world, Sample median, Sample last)
    {
        var source = world.Members[world.Random.Next(world.Members.Count)];
        var start = world.Now;
        world.Do(source, static (core, now) => core.UpdateMetadata([1], now));
        var sequence = source.Core.Table.Self.MetadataSequence;
        var times = new Sample();
        var ignorant = world.Members.Where(member => member != source).ToList();
        while (ignorant.Count > 0 && world.Now - start < TimeSpan.FromMinutes(2))
        {
            world.RunFor(TimeSpan.FromMilliseconds(100));
            var informed = ignorant.RemoveAll(member => member.View(source.Name)!.MetadataSequence >= sequence);
            for (var i = 0; i < informed; i++)
                times.Add((world.Now - start) / Options.ProbePeriod);
        }
        median.Add(times.Quantile(0.5));
        last.Add(times.Max);
        world.RunFor(20 * Options.ProbePeriod);
    }

    public static IEnumerable<object[]> Loss(ScenarioSettings settings)
    {
        var infection = Plain with { CommonPeriods = false, RandomTargets = false };
        var suspicion = Options with { SuspicionMin = TimeSpan.FromSeconds(8), SuspicionMaxFactor = 1, Confirmations = 0 };
        return
        [
            Row("infection style", "4", infection, Options, settings),
            Row("+ suspicion", "12", infection with { Suspicion = true }, suspicion, settings),
            Row("ours, default", "goal 17", ProtocolRules.Default, settings.Options, settings),
        ];
    }

    private static object[] Row(string protocol, string published, ProtocolRules rules, ProtocolOptions options, ScenarioSettings settings)
    {
        var left = new Sample();
        var members = settings.Members ?? 17;
        var runs = settings.Runs ?? 20;
        foreach (var world in settings.FormEach(runs, members, options, rules))
        {
            world.Link = world.Link with { LossPermille = 100 };
            world.Reported = (_, what, about) =>
            {
                if (what == CoreEvent.Died)
                    world.Members.First(member => member.Name == about.Name).HostLost = true;
            };
            world.RunFor(175 * Scenario.Second);
            left.Add(world.Running.Count());
        }
        return [protocol, left.Mean, left.Quantile(0), published, runs];
    }
}
