namespace Skein.Simulation.Membership.Scenarios;

/// <summary>One experiment. Its title is made by the caller.</summary>
internal interface IMembershipScenario
{
    string Name { get; }

    string Summary { get; }

    SimulationTable Run(ScenarioSettings settings);
}
