using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Simulation.Failover;
using Skein.Simulation.Membership;

namespace Skein.Cli.Commands;

/// <summary><c>skein simulate</c>: production code in virtual time.</summary>
internal static class SimulateCommand
{
    private static readonly Setting<string?> Scenario = new(
        "scenario", "name", "Scenario to simulate [default: list all]", string.Join(", ", MembershipScenarios.All.Select(scenario => scenario.Name)), null,
        (string text, out string? read) =>
        {
            read = text;
            return MembershipScenarios.All.Any(scenario => scenario.Name == text);
        });

    private static readonly Setting<int?> Members = Setting.OptionalNumber("members", "Number of members [default: the scenario's own sizes]", 2, 20_000);
    private static readonly Setting<int?> Runs = Setting.OptionalNumber("runs", "Runs of each row [default: the scenario's own number]", 1, 100_000);
    private static readonly Setting<ulong> Seed = new(
        "seed", "n", "Seed of the first run; the same seed gives the same table [default: 1]", "a whole number, 0 or more", 1UL,
        (string text, out ulong read) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out read));

    private static readonly Setting<string> Profile = Setting.Word("profile", "Timing of the group [default: lan]", "lan", "lan", "fast", "wan");
    private static readonly Setting<bool> Settled = Setting.Flag("settled", "Begin with members that already know each other");
    private static readonly Setting<int> Failovers = Setting.Number(
        "failovers", "Number of failovers after which the run ends [default: 10000]", 10_000, 1, 10_000_000);
    private static readonly Setting<int> Replicas = Setting.Number("replicas", "Number of replicas, two of which stay healthy [default: 6]", 6, 3, 1000);
    private static readonly Setting<int> Streams = Setting.Number("streams", "Concurrent streams [default: 60]", 60, 1, 10_000);

    public static Command Create() => new("simulate", "Run production code in virtual time")
    {
        CommandLine.Verb(
            "membership", "Simulate membership: detection, false positives, joins, partitions, and the experiments of the literature",
            [Scenario, Members, Seed, Runs, Profile, Settled, CommandOutput.Json], RunAsync),
        CommandLine.Verb(
            "failover", "Kill, freeze, slow and drain replicas under load, and compare every token of every stream; exits 1 if a token is wrong, " +
            "or if more requests are rejected as harmful than coinciding faults explain",
            [Failovers, Replicas, Streams, Seed, CommandOutput.Json], RunFailoverAsync),
        SimulateTraceCommand.Create(Seed),
    };

    private static async Task<int> RunFailoverAsync(SettingSources sources)
    {
        var settings = new FailoverSettings
        {
            Failovers = Failovers.Read(sources), Replicas = Replicas.Read(sources), Streams = Streams.Read(sources), Seed = Seed.Read(sources),
        };
        await Console.Error.WriteLineAsync($"simulating {settings.Failovers} failovers …");
        FailoverResult result;
        try
        {
            result = FailoverSimulation.Run(settings);
        }
        catch (InvalidOperationException error)
        {
            throw new CommandFailedException(error.Message, error);
        }
        CommandOutput.Print(sources, result, () => Console.WriteLine(result.ToTable().Render()));
        return result.IsClean ? CommandLine.Success : CommandLine.Failure;
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        if (Scenario.Read(sources) is not { } scenario)
        {
            foreach ((var name, var summary) in MembershipScenarios.All)
                await Console.Out.WriteLineAsync($"{name,-20} {summary}");
            return CommandLine.Success;
        }
        var settings = new ScenarioSettings
        {
            Members = Members.Read(sources), Seed = Seed.Read(sources), Runs = Runs.Read(sources), Profile = Profile.Read(sources),
            Settled = Settled.Read(sources),
        };
        try
        {
            await Console.Error.WriteLineAsync($"simulating {scenario} …");
            var table = MembershipScenarios.Run(scenario, settings);
            CommandOutput.Print(sources, table, () => Console.WriteLine(table.Render()));
            return CommandLine.Success;
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        catch (InvalidOperationException error)
        {
            throw new CommandFailedException(error.Message, error);
        }
    }
}
