namespace Skein.Simulation.Membership.Scenarios;

internal static class Scenario
{
    public static TimeSpan Second { get; } = TimeSpan.FromSeconds(1);

    /// <summary>A formed group, at a random time within a probe period. Each run has a seed of its own.</summary>
    public static MembershipWorld Form(
        this ScenarioSettings settings, int members, ProtocolOptions? options = null, ProtocolRules? rules = null, int run = 0)
    {
        var world = new MembershipWorld(settings.Seed + (ulong)run, options ?? settings.Options, rules);
        if (settings.Settled)
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
        world.RunFor(3 * Second + world.Random.Next(world.Options.ProbePeriod));
        return world;
    }

    public static IEnumerable<MembershipWorld> FormEach(
        this ScenarioSettings settings, int runs, int members, ProtocolOptions? options = null, ProtocolRules? rules = null) =>
        Enumerable.Range(0, runs).Select(run => settings.Form(members, options, rules, run));

    /// <summary>Whether all members see the whole group.</summary>
    public static Func<bool> FormedCheck(this MembershipWorld world, int members)
    {
        var complete = world.CheckOfAll(member => member.Core.Table.LiveCount == members);
        return () => complete() && world.Agree();
    }

    /// <summary>A cheap check for use after every event: it examines one member until that one fulfils the condition.</summary>
    public static Func<bool> CheckOfAll(this MembershipWorld world, Predicate<SimulatedMember> condition)
    {
        var fulfilled = 0;
        return () =>
        {
            while (fulfilled < world.Members.Count && condition(world.Members[fulfilled]))
                fulfilled++;
            return fulfilled == world.Members.Count;
        };
    }

    public static IEnumerable<int> Sizes(this ScenarioSettings settings, params int[] own) => settings.Members is { } one ? [one] : own;

    /// <summary>Each size without loss and with a tenth of all datagrams lost.</summary>
    public static IEnumerable<(int Members, int LossPermille)> SizesAndLosses(this ScenarioSettings settings) =>
        settings.Sizes(5, 32, 128).SelectMany(static members => new[] { (members, 0), (members, 100) });
}

internal sealed class DeathCount
{
    public DeathCount(MembershipWorld world, Func<SimulatedMember, bool> isHealthy)
    {
        world.Reported = (viewer, what, about) =>
        {
            Suspicions += what == CoreEvent.Suspected ? 1 : 0;
            if (what != CoreEvent.Died || about.Name == Expected)
                return;
            False++;
            FalseAtHealthy += isHealthy(viewer) ? 1 : 0;
            HealthyVictims += isHealthy(world.Members.First(member => member.Name == about.Name)) ? 1 : 0;
        };
    }

    public long Suspicions { get; private set; }

    /// <summary>Deaths of running members.</summary>
    public long False { get; private set; }

    public long FalseAtHealthy { get; private set; }

    public long HealthyVictims { get; private set; }

    /// <summary>The member whose death is not false.</summary>
    public string? Expected { get; set; }
}

internal sealed class Sample
{
    private readonly List<double> _values = [];

    public int Count => _values.Count;

    public double Mean => _values.Count == 0 ? double.NaN : _values.Average();

    public double Max => Quantile(1);

    public void Add(double value) => _values.Add(value);

    public void Add(TimeSpan time) => Add(time.TotalSeconds);

    public double Quantile(double share)
    {
        if (_values.Count == 0)
            return double.NaN;
        _values.Sort();
        return _values[Math.Min(_values.Count - 1, (int)(share * _values.Count))];
    }

    public IEnumerable<object> Quantiles(params double[] shares) => shares.Select(share => (object)Quantile(share));

    public string MedianAndMax => $"{Text(Quantile(0.5))} / {Text(Max)}";

    public static string Text(object cell) => cell switch
    {
        double value when double.IsNaN(value) => "-",
        double value => value.ToString(value < 10 ? "0.###" : "0.#", CultureInfo.InvariantCulture),
        int or long => ((IFormattable)cell).ToString("#,0", CultureInfo.InvariantCulture),
        _ => (string)cell,
    };
}
