using Skein.Operations.Rollout;
using Skein.Gateway.Admin;

namespace Skein.Operations.Tests.Rollout;

/// <summary>A group made up by a test, the core that looks at it, and the clock.</summary>
internal sealed class Fleet
{
    public const string Old = "r1";
    public const string New = "r2";

    private readonly Dictionary<string, MemberRow> _rows = new(StringComparer.Ordinal);
    private RolloutCore? _core;

    public Fleet(params string[] names)
    {
        foreach (var name in names)
            Add(name);
    }

    public TimeSpan Now { get; private set; }

    public List<string> Orders { get; } = [];

    public RolloutCore Core => _core ?? throw new InvalidOperationException("no rollout has begun");

    public RolloutStep this[string name] => Core.Steps.Single(step => step.Name == name);

    public Fleet Add(string name, string model = "m", string revision = Old, string state = "alive", bool draining = false)
    {
        _rows[name] = new MemberRow(name, "replica", state, 1, "", revision, 0, "", "", "", [model], 4, 0, 0, draining);
        return this;
    }

    /// <summary>Changes a member as others see it.</summary>
    public void Set(string name, Func<MemberRow, MemberRow> change) => _rows[name] = change(_rows[name]);

    public Fleet Begin(RolloutPlan? plan = null)
    {
        _core = new RolloutCore(plan ?? new RolloutPlan { Revision = New }, [.. _rows.Values]);
        return Look();
    }

    public Fleet Look(double afterSeconds = 0)
    {
        Now += TimeSpan.FromSeconds(afterSeconds);
        return Took(Core.Observe([.. _rows.Values], Now));
    }

    /// <summary>Tells the core an event.</summary>
    public Fleet Tell(Func<RolloutCore, TimeSpan, IReadOnlyList<(RolloutOrder Order, string Name)>> happened) => Took(happened(Core, Now));

    public Fleet Drained(string name)
    {
        Set(name, row => row with { Draining = true });
        return Look().Tell((core, now) => core.Executed(RolloutOrder.Drain, name, null, now));
    }

    /// <summary>The command has run, and the restarted replica has joined.</summary>
    public Fleet Back(string name, string revision = New)
    {
        Set(name, row => row with { Generation = row.Generation + 1, Revision = revision, Draining = false, State = "alive" });
        return Tell((core, now) => core.Executed(RolloutOrder.Restart, name, null, now)).Look();
    }

    public Fleet Probed(string name) => Tell((core, now) => core.Executed(RolloutOrder.Probe, name, null, now));

    /// <summary>Counts once a second, as the shell does.</summary>
    public Fleet Count(int seconds, Func<int, CounterRow> counters)
    {
        for (var second = 1; second <= seconds; second++)
        {
            Look(1);
            var row = counters(second);
            Tell((core, now) => core.ObserveCounters(row, now));
        }
        return this;
    }

    public Fleet WithoutErrors(int seconds = 11) => Count(seconds, second => new CounterRow(100 * second, 0, 0));

    /// <summary>All of one replica's way, from its drain on.</summary>
    public Fleet Update(string name) => Drained(name).Back(name).Probed(name).WithoutErrors();

    private Fleet Took(IReadOnlyList<(RolloutOrder Order, string Name)> orders)
    {
        Orders.AddRange(orders.Select(order => $"{order.Order} {order.Name}"));
        return this;
    }
}
