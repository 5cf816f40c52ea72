using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Operations.Supervision;

namespace Skein.Cli.Commands;

/// <summary><c>skein up</c>: a whole cluster on this machine, each member a supervised process.</summary>
internal static class UpCommand
{
    /// <summary>Shorter than the patience of the supervisor, so that streams end with their terminal event.</summary>
    private const string MemberGrace = "3s";

    private static readonly Setting<int?> Replicas = Setting.OptionalNumber("replicas", "Replicas [default: 3, or one per --engine]", 1, 64);
    private static readonly Setting<int> Gateways = Setting.Number("gateways", "Gateways [default: 1]", 1, 1, 16);
    private static readonly Setting<int> Port = EndpointSettings.Port("port", 8080, "HTTP port of the first gateway");
    private static readonly Setting<IReadOnlyList<string>> Engines = new(
        "engine", "engine", EngineSettings.Help + "; given several times: one replica each", EngineSettings.Allowed, [EngineSettings.Embedded], TryReadEngines, repeatable: true);

    private static readonly Setting<int?> Slots =
        Setting.OptionalNumber("slots", "Generations at the same time, per replica [default: the engine's own number, else 64]", 1, 100_000);

    private static readonly Setting<TimeSpan> RestartDelay = Setting.Duration(
        "restart-delay", "Time between the exit of a member and its next start [default: 2s]", TimeSpan.FromSeconds(2), TimeSpan.FromHours(1));

    private static readonly Setting<LogWord> LogLevel = Setting.Choice("log", "Least serious messages of the members to show [default: warning]", LogWord.Warning);

    public static Command Create() => CommandLine.Verb(
        "up", "Start a whole cluster on this machine", [Replicas, Gateways, Engines, .. EngineSettings.Details, Port, Slots, RestartDelay, LogLevel], RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var signal = new StopSignal(supervised: false);
        using var cluster = new LocalCluster(Specs(sources), RestartDelay.Read(sources), TimeProvider.System, Console.Error.WriteLine);
        try
        {
            var clock = Stopwatch.StartNew();
            await ClusterStart.RunAsync(cluster, signal.Stop);
            Banner.Print(cluster, clock.Elapsed);
            await signal.WaitAsync();
            await Console.Error.WriteLineAsync("stopping: members drain and leave (Ctrl-C again: at once)");
        }
        catch (Exception error) when (error is OperationCanceledException || (error is MemberFailedException && signal.Stop.IsCancellationRequested))
        {
            // Stopped while starting; a member so young that it did not yet ignore Ctrl-C may have died of it.
        }
        catch (MemberFailedException error) when (error.ExitCode == CommandLine.BadInput)
        {
            // Wrong is what was given to `up`, whoever noticed.
            throw new UsageException(error.LastWords);
        }
        catch (MemberFailedException error)
        {
            throw new CommandFailedException($"the cluster did not start: {error.Message}", error);
        }
        finally
        {
            await cluster.StopAsync(signal.AtOnce);
        }
        await Console.Error.WriteLineAsync("stopped; no process is left");
        return CommandLine.Success;
    }

    private static List<MemberSpec> Specs(SettingSources sources)
    {
        var engines = Engines.Read(sources);
        var asked = Replicas.Read(sources);
        if (engines.Count > 1 && asked is not null && asked != engines.Count)
            throw new UsageException($"--replicas {asked} does not go with {engines.Count} engines; allowed: {engines.Count}, or a single engine");
        var replicas = asked ?? (engines.Count > 1 ? engines.Count : 3);
        // Wrong values are refused here, once, and not by each child.
        Slots.Read(sources);
        foreach (var engine in engines)
            EngineSettings.Check(sources, engine);
        string[] common = ["--grace", MemberGrace, "--log", LogLevel.Read(sources).ToString().ToLowerInvariant()];

        var specs = new List<MemberSpec>();
        for (var index = 1; index <= Gateways.Read(sources); index++)
        {
            var http = index == 1 ? Port.Read(sources).ToString(CultureInfo.InvariantCulture) : "0";
            specs.Add(new MemberSpec(
                $"gateway-{index}", "gateway", ["--http", http, "--grpc", "0", "--expected-replicas", replicas.ToString(CultureInfo.InvariantCulture), .. common]));
        }
        string[] details = [.. EngineSettings.Details.Append(Slots).SelectMany(setting => sources.Find(setting) is { } found ? new[] { setting.Option.Name, found.Value } : [])];
        for (var index = 1; index <= replicas; index++)
            specs.Add(new MemberSpec($"replica-{index}", "replica", ["--engine", engines[(index - 1) % engines.Count], "--grpc", "0", .. details, .. common]));
        return specs;
    }

    private static bool TryReadEngines(string text, out IReadOnlyList<string> engines)
    {
        engines = text.Split(',', StringSplitOptions.TrimEntries);
        return engines.All(engine => EngineSettings.TryRead(engine, out _));
    }
}
