using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Settings of Das, Gupta, Motivala: SWIM, DSN 2002, section 5.</summary>
internal static class SwimPaper
{
    public static ProtocolVariant Plain { get; } = ProtocolVariant.Swim with
    {
        RandomTargets = true, CommonPeriods = true, Suspicion = false, GossipPackets = false,
    };

    public static ProtocolOptions Options { get; } = ProtocolOptions.Lan with
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
    public static void GoToEndOfPeriod(MembershipWorld world)
    {
        var period = Options.ProbePeriod.Ticks;
        world.RunFor(TimeSpan.FromTicks(2 * period - world.Now.Ticks % period - TimeSpan.TicksPerMillisecond));
    }
}

internal static class SwimDetection
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(8, 16, 32, 64, 128, 256))
        {
            var periods = new Sample();
            var crashes = settings.Runs ?? 1000;
            for (var seed = settings.Seed; periods.Count < crashes; seed++)
                CrashSome(Scenario.Formed(members, seed, SwimPaper.Options, settings.Settled, SwimPaper.Plain), Math.Max(1, members / 16), periods);
            rows.Add([Scenario.Number(members), Sample.Text(periods.Mean), "1.58", Scenario.Number(periods.Count)]);
        }
        return new SimulationTable("", ["members", "ours", "published", "crashes"], rows);
    }

    private static void CrashSome(MembershipWorld world, int crashes, Sample periods)
    {
        for (var i = 0; i < crashes; i++)
        {
            SwimPaper.GoToEndOfPeriod(world);
            var victim = world.Members[1 + i];
            TimeSpan? found = null;
            world.Reported = (_, what, about) => found ??= what == CoreEvent.Died && about.Name == victim.Name ? world.Now : null;
            var start = world.Now;
            victim.HostLost = true;
            if (!world.RunUntil(() => found is not null, TimeSpan.FromMinutes(5)))
                world.Fail($"{victim.Name} was not detected");
            periods.Add(Math.Floor((found!.Value - start) / SwimPaper.Options.ProbePeriod));
            world.RunFor(4 * SwimPaper.Options.ProbePeriod);
        }
    }
}

internal static class SwimMessages
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(8, 28, 56))
        {
            var world = Scenario.Formed(members, settings.Seed, SwimPaper.Options, settings.Settled, SwimPaper.Plain);
            world.RunFor(20 * SwimPaper.Options.ProbePeriod);
            SwimPaper.GoToEndOfPeriod(world);
            var sent = new Sample();
            var below = 0;
            for (var period = 0; period < (settings.Runs ?? 200); period++)
            {
                long[] before = [.. world.Members.Select(static member => member.SentPackets)];
                world.RunFor(SwimPaper.Options.ProbePeriod);
                foreach (var member in world.Members)
                {
                    var messages = member.SentPackets - before[member.Index];
                    sent.Add(messages);
                    below += messages < 5 ? 1 : 0;
                }
            }
            rows.Add([Scenario.Number(members), Sample.Text(sent.Mean), "2.0", Sample.Text((double)below / sent.Count)]);
        }
        return new SimulationTable("", ["members", "ours", "published", "P(< 5)"], rows);
    }
}

internal static class SwimInfection
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(8, 16, 28, 56, 256))
        {
            (Sample median, Sample last) = (new(), new());
            var world = Scenario.Formed(members, settings.Seed, SwimPaper.Options, settings.Settled, SwimPaper.Plain);
            world.RunFor(60 * SwimPaper.Options.ProbePeriod);
            for (var rumour = 0; rumour < (settings.Runs ?? 50); rumour++)
                Spread(world, median, last);
            rows.Add([Scenario.Number(members), Sample.Text(median.Quantile(0.5)), members <= 56 ? "1 - 3" : "-", Sample.Text(last.Quantile(0.5))]);
        }
        return new SimulationTable("", ["members", "median", "published", "last member"], rows);
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
                times.Add((world.Now - start) / SwimPaper.Options.ProbePeriod);
        }
        median.Add(times.Quantile(0.5));
        last.Add(times.Max);
        world.RunFor(20 * SwimPaper.Options.ProbePeriod);
    }
}

internal static class SwimLoss
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var infection = SwimPaper.Plain with { CommonPeriods = false, RandomTargets = false };
        var suspicion = SwimPaper.Options with { SuspicionMin = TimeSpan.FromSeconds(8), SuspicionMaxFactor = 1, Confirmations = 0 };
        return new SimulationTable("", ["protocol", "left (mean)", "least", "published", "runs"],
        [
            Row("infection style", "4", infection, SwimPaper.Options, settings),
            Row("+ suspicion", "12", infection with { Suspicion = true }, suspicion, settings),
            Row("ours, default", "goal 17", ProtocolRules.Default, settings.Options, settings),
        ]);
    }

    private static string[] Row(string protocol, string published, ProtocolRules rules, ProtocolOptions options, ScenarioSettings settings)
    {
        var left = new Sample();
        var members = settings.Members ?? 17;
        var runs = settings.Runs ?? 20;
        for (var run = 0; run < runs; run++)
        {
            var world = Scenario.Formed(members, settings.Seed + (ulong)run, options, settings.Settled, rules);
            world.Link = world.Link with { LossPermille = 100 };
            world.Reported = (_, what, about) =>
            {
                if (what == CoreEvent.Died)
                    world.Members.First(member => member.Name == about.Name).HostLost = true;
            };
            world.RunFor(175 * Scenario.Second);
            left.Add(world.Running.Count());
        }
        return [protocol, Sample.Text(left.Mean), Sample.Text(left.Quantile(0)), published, Scenario.Number(runs)];
    }
}
