using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>One member changes what it tells of itself.</summary>
internal sealed class MetadataChange : IMembershipScenario
{
    public string Name => "metadata";

    public string Summary => "One member changes its metadata: seconds until all know it; without and with a tenth of all datagrams lost";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(5, 32, 128))
            foreach (var loss in new[] { 0, 100 })
                rows.Add(Row(members, loss, settings));
        return new SimulationTable("", ["members", "loss", "p50", "p99", "p99.9", "max", "changes"], rows);
    }

    private static string[] Row(int members, int lossPermille, ScenarioSettings settings)
    {
        var world = Stage.Formed(members, settings.Seed, settings.Options, settings.Settled);
        world.Link = world.Link with { LossPermille = lossPermille };
        var times = News.Spread(world, settings.Runs ?? 2000, unreached: static _ => { });
        return
        [
            Stage.Number(members), $"{lossPermille / 10} %", Sample.Text(times.Quantile(0.5)), Sample.Text(times.Quantile(0.99)),
            Sample.Text(times.Quantile(0.999)), Sample.Text(times.Max), Stage.Number(times.Count),
        ];
    }
}

/// <summary>Each who knows a rumour sends it k times at random: e^-k of the members are missed, and wait for something else.</summary>
internal sealed class MissedRumours : IMembershipScenario
{
    public string Name => "missed-rumours";

    public string Summary => "A rumour is sent k times by each who has it: share of members that it does not reach, and seconds until all know; memberlist's gossip beside ours";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(5, 32))
            foreach (var factor in new[] { 1, 2, 3, 4 })
                rows.Add(Row(members, factor, settings));
        return new SimulationTable(
            "", ["members", "k", "e^-k %", "memberlist misses %", "p50", "p99.9", "max", "ours misses %", "p50", "p99.9", "max", "changes"], rows);
    }

    private static string[] Row(int members, int factor, ScenarioSettings settings)
    {
        var changes = settings.Runs ?? 1000;
        var sends = factor * (int)Math.Ceiling(Math.Log10(members + 1));
        var theirs = LifeguardPaper.Options(alpha: 5, beta: 6, members) with { RetransmitFactor = factor };
        var memberlist = Way(members, theirs, ProtocolVariant.Lifeguard, changes, settings);
        var ours = Way(members, settings.Options with { RetransmitFactor = factor }, ProtocolRules.Default, changes, settings);
        return [Stage.Number(members), Stage.Number(sends), Sample.Text(100 * Math.Exp(-sends)), .. memberlist, .. ours, Stage.Number(changes)];
    }

    private static string[] Way(int members, ProtocolOptions options, ProtocolRules rules, int changes, ScenarioSettings settings)
    {
        var world = Stage.Formed(members, settings.Seed, options, settings.Settled, rules);
        long missed = 0;
        var times = News.Spread(world, changes, unreached: count => missed += count);
        return
        [
            Sample.Text(100.0 * missed / changes / (members - 1)), Sample.Text(times.Quantile(0.5)), Sample.Text(times.Quantile(0.999)),
            Sample.Text(times.Max),
        ];
    }
}

internal static class News
{
    /// <summary>After that no rumour is on its way any more, also in the slowest of these protocols: five rounds of 200 ms each twice over.</summary>
    private static readonly TimeSpan RumourEnds = TimeSpan.FromSeconds(2);

    /// <summary>Some member's metadata changes, again and again: how long it takes until all know, and how many the rumour had not reached at its end.</summary>
    public static Sample Spread(MembershipWorld world, int changes, Action<int> unreached)
    {
        var times = new Sample();
        for (var change = 0; change < changes; change++)
        {
            var teller = world.Members[world.Random.Next(world.Members.Count)];
            var start = world.Now;
            world.Do(teller, (core, now) => core.UpdateMetadata([(byte)change, (byte)(change >> 8)], now));
            var known = KnownCheck(world, teller);
            if (!world.RunUntil(known, RumourEnds))
            {
                unreached(world.Members.Count(member => !Knows(member, teller)));
                if (!world.RunUntil(known, 600 * Stage.Second))
                    world.Fail($"the metadata of {teller.Name} is not known to all");
            }
            times.Add(world.Now - start);
            world.RunFor(start + RumourEnds + world.Random.Next(Stage.Second) - world.Now is var rest && rest > TimeSpan.Zero ? rest : TimeSpan.Zero);
        }
        return times;
    }

    /// <summary>Cheap enough to be asked after every event: it looks at one member until that one knows.</summary>
    private static Func<bool> KnownCheck(MembershipWorld world, SimulatedMember teller)
    {
        var content = 0;
        return () =>
        {
            while (content < world.Members.Count && Knows(world.Members[content], teller))
                content++;
            return content == world.Members.Count;
        };
    }

    private static bool Knows(SimulatedMember member, SimulatedMember teller) =>
        member.View(teller.Name)!.MetadataSequence == teller.Core.Table.Self.MetadataSequence;
}
