using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Load;

namespace Skein.Cli.Commands;

/// <summary><c>skein up</c>: a whole cluster on this machine, each member a supervised process.</summary>
internal static class UpCommand
{
    /// <summary>Nothing is in front of these gateways that must notice.</summary>
    private const string LameDuck = "1s";

    private static readonly Setting<int?> Replicas = Setting.OptionalNumber(
        "replicas", "Number of replicas [default: 3, or one for each --engine that is a URL or one of several]", 1, 64);
    private static readonly Setting<int> Gateways = Setting.Number("gateways", "Number of gateways [default: 1]", 1, 1, 16);
    private static readonly Setting<int> Port = EndpointSettings.Port("port", 8080, "HTTP port of the first gateway");
    private static readonly Setting<int> GrpcPort = EndpointSettings.Port("grpc", 0, "gRPC port of the first gateway");
    private static readonly Setting<IReadOnlyList<string>> Engines = new(
        "engine", "engine", EngineSettings.Help + "; given several times: one replica each", EngineSettings.Allowed, [EngineSettings.Embedded],
        TryReadEngines, repeatable: true);

    private static readonly Setting<int?> Slots = Setting.OptionalNumber(
        "slots", "Concurrent requests per replica [default: the engine's own number, else a number that begins at 64 and adapts]", 1, 100_000);

    private static readonly Setting<TimeSpan> RestartDelay = Setting.Duration(
        "restart-delay", "Delay between the exit of a member and its restart [default: 2s]", TimeSpan.FromSeconds(2), TimeSpan.FromHours(1));

    private static readonly Setting<string> Log = Setting.Word(
        "log", "Minimum log level of the members [default: warning]", "warning", EndpointSettings.LogLevels.Select(level => level.Word));

    private static readonly Setting<bool> TlsForTrial = Setting.Flag(
        "tls-dev", "Encrypt the gateways with a certificate that is made at the start; its path is printed, for --ca of clients");

    internal static IReadOnlyList<ISetting> Settings { get; } =
    [
        Replicas, Gateways, Engines, .. EngineSettings.Details, Port, GrpcPort, Slots, RestartDelay, EndpointSettings.Grace, TlsForTrial, .. GatewayKeys.All,
        Log, .. GatewayCommand.OfRequests,
    ];

    public static Command Create() => CommandLine.Verb("up", "Start a whole cluster on this machine", Settings, RunAsync);

    public static async Task StartAsync(LocalCluster cluster, CancellationToken cancellationToken)
    {
        await Console.Error.WriteLineAsync($"starting {cluster.Members.Count} members …");
        await cluster.StartAsync(member => Console.Error.WriteLine($"  {member.Name} is up (pid {member.ProcessId})"), cancellationToken);
    }

    private static async Task<int> RunAsync(SettingSources sources)
    {
        using var signal = new StopSignal(supervised: false);
        var specs = Specs(sources);
        // Wrong files are reported once, here, instead of by every gateway.
        var gatewayKeys = GatewayKeys.Open(sources);
        var keys = new OpenKeys(gatewayKeys?.AreForClients == true, gatewayKeys is not null);
        var trial = TlsForTrial.Read(sources) ? DevCertificate.Write([], TimeProvider.System) : ((string Certificate, string Key)?)null;
        if (trial is { } files)
            specs = [.. specs.Select(spec => spec.Verb == "gateway" ? spec with { Arguments = [.. spec.Arguments, .. TlsFlags(files)] } : spec)];
        // Members must not make certificates of their own.
        Environment.SetEnvironmentVariable(TlsForTrial.EnvironmentVariable, null);
        if (Gateways.Read(sources) > 1)
            ShareLinkKey();
        using var cluster = new LocalCluster(
            specs, RestartDelay.Read(sources), TimeProvider.System, Console.Error.WriteLine,
            trial is null ? null : new ClientTls { TrustedRoots = AuthorityFile.Read(trial.Value.Certificate, "--tls-dev") })
        {
            Grace = EndpointSettings.Grace.Read(sources),
        };
        try
        {
            var clock = Stopwatch.StartNew();
            await StartAsync(cluster, signal.Stop);
            PrintBanner(cluster, clock.Elapsed, trial?.Certificate, keys);
            await signal.WaitAsync();
            await Console.Error.WriteLineAsync(
                $"stopping: streams may finish for {Durations.Text(cluster.Grace)}, then members leave (Ctrl-C or SIGTERM again stops at once)");
        }
        catch (Exception error) when (error is OperationCanceledException || (error is MemberFailedException && signal.Stop.IsCancellationRequested))
        {
            // Stopped during the start. A member that does not ignore Ctrl-C yet may have been ended by it.
        }
        catch (MemberFailedException error) when (error.ExitCode == CommandLine.BadInput)
        {
            // The member received its flags from this command.
            throw new UsageException(error.FinalMessage);
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

    /// <summary>The members to start.</summary>
    internal static List<MemberSpec> Specs(SettingSources sources)
    {
        var engines = Engines.Read(sources);
        var requested = Replicas.Read(sources);
        if (engines.Count > 1 && requested is not null && requested != engines.Count)
            throw new UsageException($"--replicas {requested} does not go with {engines.Count} engines; allowed: {engines.Count}, or a single engine");
        var isServer = EngineSettings.IsServer(engines[0]);
        if (engines.Count == 1 && isServer && requested > 1)
            throw new UsageException($"--replicas {requested} does not go with one server, which one replica serves; allowed: 1, or one --engine URL each");
        var replicas = requested ?? (engines.Count > 1 || isServer ? engines.Count : 3);
        // Invalid values are reported once, here, instead of by every member.
        Slots.Read(sources);
        foreach (var setting in GatewayCommand.OfRequests)
            setting.ReadIfSet(sources);
        foreach (var engine in engines)
            EngineSettings.Check(sources, engine);
        string[] common = ["--grace", Durations.Text(EndpointSettings.Grace.Read(sources)), "--log", Log.Read(sources)];
        string[] gateway =
        [
            "--lame-duck", LameDuck, "--expected-replicas", Text(replicas), .. FlagsOf(sources, GatewayCommand.OfRequests), .. GatewayKeys.FlagsOf(sources),
            .. common,
        ];
        string[] replica =
        [
            "--grpc", "0", .. FlagsOf(sources, [.. EngineSettings.Details, Slots, .. TelemetrySettings.OfReplicas]), .. common,
        ];
        var (port, grpc) = (Text(Port.Read(sources)), Text(GrpcPort.Read(sources)));
        return
        [
            .. Enumerable.Range(1, Gateways.Read(sources)).Select(
                i => new MemberSpec($"gateway-{i}", "gateway", ["--http", i == 1 ? port : "0", "--grpc", i == 1 ? grpc : "0", .. gateway])),
            .. Enumerable.Range(1, replicas).Select(
                i => new MemberSpec($"replica-{i}", "replica", ["--engine", engines[(i - 1) % engines.Count], .. replica])),
        ];
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>The settings that any source sets, as flags of a member.</summary>
    private static IEnumerable<string> FlagsOf(SettingSources sources, IEnumerable<ISetting> settings) =>
        from setting in settings
        let found = sources.Find(setting)
        where found is not null
        from word in new[] { setting.Option.Name, found.Value.Value }
        select word;

    private static string[] TlsFlags((string Certificate, string Key) files) =>
        ["--tls-cert", files.Certificate, "--tls-key", files.Key, "--link-ca", files.Certificate];

    /// <summary>
    /// Gives the members a key of their own, by which gateways share the limits of API keys. Not by a flag: other users of the machine could read it.
    /// </summary>
    private static void ShareLinkKey()
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(SecretVariables.LinkKey)))
            Environment.SetEnvironmentVariable(SecretVariables.LinkKey, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));
    }

    private static void PrintBanner(LocalCluster cluster, TimeSpan took, string? trialCertificate, OpenKeys keys)
    {
        var gateway = cluster.Members[0].LastReady!;
        var replica = cluster.Members[^1];
        var members = cluster.Members.Count;
        var isDefault = gateway.Http.EndsWith(":8080", StringComparison.Ordinal);
        var address = gateway.HttpUrl.GetLeftPart(UriPartial.Authority);
        var key = keys.ForClients || keys.ForAdmins ? " --key-file FILE" : "";
        var flag = isDefault && trialCertificate is null ? key : $" --gateway {address}{(trialCertificate is null ? "" : $" --ca {trialCertificate}")}{key}";
        var curl = $"{(trialCertificate is null ? "" : $" --cacert {trialCertificate}")}{(keys.ForClients ? " -H 'authorization: Bearer KEY'" : "")}";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $$"""

            Skein is up after {{took.TotalSeconds:0.0}} s: {{members}} members, OpenAI-compatible HTTP on {{address}}/v1, gRPC on {{gateway.Grpc}}

              chat          {{ProgramName.Shown}} chat{{flag}} "Tell me a story about an owl"
              or            curl -N{{curl}} {{address}}/v1/chat/completions -H 'content-type: application/json' \
                              -d '{"messages":[{"role":"user","content":"Tell me a story about an owl"}],"stream":true}'
              kill one      kill -9 {{replica.ProcessId}}     ({{replica.Name}}; another replica continues its streams, and it restarts)
              status        {{ProgramName.Shown}} status{{flag}}
              stop          Ctrl-C

            """));
        foreach (var line in OpenDoors.OfCluster(
            IPEndPoint.Parse(gateway.Http).Address, keys, gateway.Tls, LinkKeyFile.IsInherited, EndpointSettings.InheritsGossipKeys))
            Console.WriteLine($"  {line}");
        Console.WriteLine();
    }

    private static bool TryReadEngines(string text, out IReadOnlyList<string> engines)
    {
        engines = text.Split(',', StringSplitOptions.TrimEntries);
        return engines.All(engine => EngineSettings.TryRead(engine, out _));
    }
}
