using System.Globalization;
using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>What most experiments begin with, and count.</summary>
internal static class Stage
{
    public static TimeSpan Second { get; } = TimeSpan.FromSeconds(1);

    /// <summary>A group that has formed, at a random moment of a period.</summary>
    public static MembershipWorld Formed(int members, ulong seed, ProtocolOptions options, bool settled, ProtocolRules? rules = null)
    {
        var world = new MembershipWorld(seed, options, rules);
        if (settled)
            world.StartSettled(members);
        else
            world.StartMany(members);
        world.RunFor(2 * Second);
        // Plain protocols miss rumours: they are helped here, because forming the group is not what is measured.
        for (var round = 0; round < 10 && !world.FormedCheck(members)(); round++)
        {
            foreach (var member in world.Members.Skip(1))
                world.Do(member, (core, now) => core.Synchronize(world.Members[0].Address, now));
            world.RunFor(2 * Second);
        }
        if (!world.FormedCheck(members)())
            world.Fail($"{members} members did not form a group");
        world.RunFor(3 * Second + world.Random.Next(options.ProbePeriod));
        return world;
    }

    /// <summary>Cheap enough to be asked after every event: it looks at one member until that one is content.</summary>
    public static Func<bool> FormedCheck(this MembershipWorld world, int members)
    {
        var content = 0;
        return () =>
        {
            while (content < world.Members.Count && world.Members[content].Core.Table.LiveCount == members)
                content++;
            return content == members && world.Agree();
        };
    }

    public static IEnumerable<int> Sizes(this ScenarioSettings settings, params int[] own) => settings.Members is { } one ? [one] : own;

    public static string Number(long value) => value.ToString("#,0", CultureInfo.InvariantCulture);
}

/// <summary>Counts deaths that are none.</summary>
internal sealed class DeathCount
{
    private readonly HashSet<string> _gone = [];

    public DeathCount(MembershipWorld world, Func<SimulatedMember, bool> isHealthy)
    {
        world.Reported = (viewer, what, about) =>
        {
            Suspicions += what == CoreEvent.Suspected ? 1 : 0;
            if (what != CoreEvent.Died || _gone.Contains(about.Name))
                return;
            False++;
            FalseAtHealthy += isHealthy(viewer) ? 1 : 0;
            HealthyVictims += isHealthy(world.Members.First(member => member.Name == about.Name)) ? 1 : 0;
        };
    }

    public long Suspicions { get; private set; }

    /// <summary>Verdicts on members that were there.</summary>
    public long False { get; private set; }

    /// <summary>Of these, those that a healthy member believed.</summary>
    public long FalseAtHealthy { get; private set; }

    /// <summary>Of these, those on healthy members.</summary>
    public long HealthyVictims { get; private set; }

    public void ReallyGone(string name) => _gone.Add(name);
}
