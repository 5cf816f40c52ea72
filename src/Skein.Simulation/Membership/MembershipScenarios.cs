using Skein.Simulation.Membership.Scenarios;

namespace Skein.Simulation.Membership;

/// <summary>
/// Simulations of membership behind <c>skein simulate membership</c>: production code in virtual time. Equal arguments give equal tables. A
/// broken invariant throws <see cref="InvalidOperationException"/> with the seed and the command that breaks it again in its message.
/// </summary>
public static class MembershipScenarios
{
    private static readonly Dictionary<string, IMembershipScenario> ByName = new IMembershipScenario[]
    {
        new HostLost(),
        new ProcessKilled(),
        new Join(),
        new MetadataChange(),
        new MissedRumours(),
        new Bootstrap(),
        new Restart(),
        new Partition(),
        new Storm(),
        new SlowMembers(),
        new PacketLoss(),
        new FarApart(),
        new Quiet(),
        new LoadGossip(),
        new BeaconAge(),
        new SwimDetection(),
        new SwimMessages(),
        new SwimInfection(),
        new SwimLoss(),
        new LifeguardFalsePositives(),
        new LifeguardLatency(),
        new RapidFlipFlop(),
    }.ToDictionary(static scenario => scenario.Name, StringComparer.Ordinal);

    /// <summary>Names and what they show, in the order of the documentation.</summary>
    public static IReadOnlyList<(string Name, string Summary)> All { get; } =
        [.. ByName.Values.Select(static scenario => (scenario.Name, scenario.Summary))];

    /// <summary>Runs one scenario.</summary>
    /// <param name="name">One of <see cref="All"/>.</param>
    /// <param name="settings">Members, seed, profile and number of runs; what is absent is the scenario's own.</param>
    /// <exception cref="ArgumentException">The name or a setting is not allowed; the message says what is.</exception>
    public static SimulationTable Run(string name, ScenarioSettings settings)
    {
        if (!ByName.TryGetValue(name, out var scenario))
            throw new ArgumentException($"scenario is '{name}': allowed are {string.Join(", ", ByName.Keys)}");
        if (settings.Problem is { } problem)
            throw new ArgumentException(problem);
        return Run(scenario, settings);
    }

    internal static SimulationTable Run(IMembershipScenario scenario, ScenarioSettings settings)
    {
        var command = $"skein simulate membership --scenario {scenario.Name}{settings}";
        try
        {
            return scenario.Run(settings) with { Title = $"{scenario.Summary}\n{command}" };
        }
        catch (InvalidOperationException error)
        {
            throw new InvalidOperationException($"{error.Message}; the same again: {command}", error);
        }
    }
}
