using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

internal static class MetadataChange
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        int[] losses = [0, 100];
        var rows = from members in settings.Sizes(5, 32, 128) from loss in losses select Row(members, loss, settings);
        return new SimulationTable("", ["members", "loss", "p50", "p99", "p99.9", "max", "changes"], [.. rows]);
    }

    private static string[] Row(int members, int lossPermille, ScenarioSettings settings)
    {
        var world = Scenario.Formed(members, settings.Seed, settings.Options, settings.Settled);
        world.Link = world.Link with { LossPermille = lossPermille };
        var times = Dissemination.Spread(world, settings.Runs ?? 2000, unreached: static _ => { });
        return
        [
            Scenario.Number(members), $"{lossPermille / 10} %", .. times.Quantiles(0.5, 0.99, 0.999, 1), Scenario.Number(times.Count),
        ];
    }
}

/// <summary>Each informed member sends an update k times at random, which misses e^-k of the members. Other mechanisms must inform these.</summary>
internal static class MissedRumours
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = from members in settings.Sizes(5, 32) from factor in Enumerable.Range(1, 4) select Row(members, factor, settings);
        return new SimulationTable(
            "", ["members", "k", "e^-k %", "memberlist misses %", "p50", "p99.9", "max", "ours misses %", "p50", "p99.9", "max", "changes"], [.. rows]);
    }

    private static string[] Row(int members, int factor, ScenarioSettings settings)
    {
        var changes = settings.Runs ?? 1000;
        var sends = factor * (int)Math.Ceiling(Math.Log10(members + 1));
        var theirs = LifeguardPaper.Options(alpha: 5, beta: 6, members) with { RetransmitFactor = factor };
        var memberlist = Measure(members, theirs, ProtocolVariant.Lifeguard, changes, settings);
        var ours = Measure(members, settings.Options with { RetransmitFactor = factor }, ProtocolRules.Default, changes, settings);
        return [Scenario.Number(members), Scenario.Number(sends), Sample.Text(100 * Math.Exp(-sends)), .. memberlist, .. ours, Scenario.Number(changes)];
    }

    private static string[] Measure(int members, ProtocolOptions options, ProtocolRules rules, int changes, ScenarioSettings settings)
    {
        var world = Scenario.Formed(members, settings.Seed, options, settings.Settled, rules);
        long missed = 0;
        var times = Dissemination.Spread(world, changes, unreached: count => missed += count);
        return [Sample.Text(100.0 * missed / changes / (members - 1)), .. times.Quantiles(0.5, 0.999, 1)];
    }
}

internal static class Dissemination
{
    /// <summary>After this time no update is gossiped any more, even in the slowest protocol (two times five rounds of 200 ms).</summary>
    private static readonly TimeSpan GossipEnds = TimeSpan.FromSeconds(2);

    /// <summary>Changes the metadata of random members; measures the time until all members know, and the members that gossip did not reach.</summary>
    public static Sample Spread(MembershipWorld world, int changes, Action<int> unreached)
    {
        var times = new Sample();
        for (var change = 0; change < changes; change++)
        {
            var source = world.Members[world.Random.Next(world.Members.Count)];
            var start = world.Now;
            world.Do(source, (core, now) => core.UpdateMetadata([(byte)change, (byte)(change >> 8)], now));
            var known = KnownCheck(world, source);
            if (!world.RunUntil(known, GossipEnds))
            {
                unreached(world.Members.Count(member => !Knows(member, source)));
                if (!world.RunUntil(known, 600 * Scenario.Second))
                    world.Fail($"the metadata of {source.Name} is not known to all");
            }
            times.Add(world.Now - start);
            world.RunFor(start + GossipEnds + world.Random.Next(Scenario.Second) - world.Now is var rest && rest > TimeSpan.Zero ? rest : TimeSpan.Zero);
        }
        return times;
    }

    /// <summary>A cheap check for use after every event: it examines one member until that one knows.</summary>
    private static Func<bool> KnownCheck(MembershipWorld world, SimulatedMember source)
    {
        var informed = 0;
        return () =>
        {
            while (informed < world.Members.Count && Knows(world.Members[informed], source))
                informed++;
            return informed == world.Members.Count;
        };
    }

    private static bool Knows(SimulatedMember member, SimulatedMember source) =>
        member.View(source.Name)!.MetadataSequence == source.Core.Table.Self.MetadataSequence;
}
