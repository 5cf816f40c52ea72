namespace Skein.Simulation.Membership.Scenarios;

internal static class Dissemination
{
    /// <summary>After this time no update is gossiped any more, even in the slowest protocol (two times five rounds of 200 ms).</summary>
    private static readonly TimeSpan GossipEnds = TimeSpan.FromSeconds(2);

    public static IEnumerable<object[]> MetadataChange(ScenarioSettings settings)
    {
        foreach ((var members, var lossPermille) in settings.SizesAndLosses())
        {
            var world = settings.Form(members);
            world.Link = world.Link with { LossPermille = lossPermille };
            var times = Spread(world, settings.Runs ?? 2000, unreached: static _ => { });
            yield return [members, $"{lossPermille / 10} %", .. times.Quantiles(0.5, 0.99, 0.999, 1), times.Count];
        }
    }

    /// <summary>Each informed member sends an update k times at random, which misses e^-k of the members. Other mechanisms must inform these.</summary>
    public static IEnumerable<object[]> MissedRumours(ScenarioSettings settings)
    {
        var changes = settings.Runs ?? 1000;
        foreach (var members in settings.Sizes(5, 32))
        {
            for (var factor = 1; factor <= 4; factor++)
            {
                var sends = factor * (int)Math.Ceiling(Math.Log10(members + 1));
                var theirs = Lifeguard.Options(alpha: 5, beta: 6, members) with { RetransmitFactor = factor };
                var memberlist = Measure(settings.Form(members, theirs, ProtocolVariant.Lifeguard), changes);
                var ours = Measure(settings.Form(members, settings.Options with { RetransmitFactor = factor }), changes);
                yield return [members, sends, 100 * Math.Exp(-sends), .. memberlist, .. ours, changes];
            }
        }
    }

    private static object[] Measure(MembershipWorld world, int changes)
    {
        long missed = 0;
        var times = Spread(world, changes, unreached: count => missed += count);
        return [100.0 * missed / changes / (world.Members.Count - 1), .. times.Quantiles(0.5, 0.999, 1)];
    }

    /// <summary>Changes the metadata of random members; measures the time until all members know, and the members that gossip did not reach.</summary>
    private static Sample Spread(MembershipWorld world, int changes, Action<int> unreached)
    {
        var times = new Sample();
        for (var change = 0; change < changes; change++)
        {
            var source = world.Members[world.Random.Next(world.Members.Count)];
            var start = world.Now;
            world.Do(source, (core, now) => core.UpdateMetadata([(byte)change, (byte)(change >> 8)], now));
            var known = world.CheckOfAll(member => Knows(member, source));
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

    private static bool Knows(SimulatedMember member, SimulatedMember source) =>
        member.View(source.Name)!.MetadataSequence == source.Core.Table.Self.MetadataSequence;
}
