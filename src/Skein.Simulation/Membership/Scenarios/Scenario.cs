using System.Globalization;
using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>Helpers shared by the scenarios.</summary>
internal static class Scenario
{
    public static TimeSpan Second { get; } = TimeSpan.FromSeconds(1);

    /// <summary>A formed group, at a random time within a probe period.</summary>
    public static MembershipWorld Formed(int members, ulong seed, ProtocolOptions options, bool settled, ProtocolRules? rules = null)
    {
        var world = new MembershipWorld(seed, options, rules);
        if (settled)
            world.StartSettled(members);
        else
            world.StartMany(members);
        world.RunFor(2 * Second);
        // The published protocols miss updates while a group forms. That is not measured here, so full exchanges complete the group.
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

    /// <summary>A cheap check for use after every event: it examines one member until that one knows all others.</summary>
    public static Func<bool> FormedCheck(this MembershipWorld world, int members)
    {
        var complete = 0;
        return () =>
        {
            while (complete < world.Members.Count && world.Members[complete].Core.Table.LiveCount == members)
                complete++;
            return complete == members && world.Agree();
        };
    }

    public static IEnumerable<int> Sizes(this ScenarioSettings settings, params int[] own) => settings.Members is { } one ? [one] : own;

    public static string Number(long value) => value.ToString("#,0", CultureInfo.InvariantCulture);
}

/// <summary>Counts false deaths.</summary>
internal sealed class DeathCount
{
    private readonly HashSet<string> _expected = [];

    public DeathCount(MembershipWorld world, Func<SimulatedMember, bool> isHealthy)
    {
        world.Reported = (viewer, what, about) =>
        {
            Suspicions += what == CoreEvent.Suspected ? 1 : 0;
            if (what != CoreEvent.Died || _expected.Contains(about.Name))
                return;
            False++;
            FalseAtHealthy += isHealthy(viewer) ? 1 : 0;
            HealthyVictims += isHealthy(world.Members.First(member => member.Name == about.Name)) ? 1 : 0;
        };
    }

    public long Suspicions { get; private set; }

    /// <summary>Deaths of running members.</summary>
    public long False { get; private set; }

    /// <summary>False deaths in the view of healthy members.</summary>
    public long FalseAtHealthy { get; private set; }

    /// <summary>False deaths of healthy members.</summary>
    public long HealthyVictims { get; private set; }

    public void ExpectDeath(string name) => _expected.Add(name);
}

/// <summary>Measured values of one quantity.</summary>
internal sealed class Sample
{
    private readonly List<double> _values = [];
    private bool _sorted = true;

    public int Count => _values.Count;

    public double Mean => _values.Count == 0 ? double.NaN : _values.Average();

    public double Max => Quantile(1);

    public void Add(double value)
    {
        _values.Add(value);
        _sorted = false;
    }

    public void Add(TimeSpan time) => Add(time.TotalSeconds);

    public double Quantile(double share)
    {
        if (_values.Count == 0)
            return double.NaN;
        if (!_sorted)
            _values.Sort();
        _sorted = true;
        return _values[Math.Min(_values.Count - 1, (int)(share * _values.Count))];
    }

    public IEnumerable<string> Quantiles(params double[] shares) => shares.Select(share => Text(Quantile(share)));

    /// <summary>Median and maximum.</summary>
    public string MedianAndMax => $"{Text(Quantile(0.5))} / {Text(Max)}";

    public static string Text(double value) => double.IsNaN(value) ? "-" : value.ToString(value < 10 ? "0.###" : "0.#", CultureInfo.InvariantCulture);
}
