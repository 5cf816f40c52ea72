using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Skein.Cli.Configuration;
using Skein.Cli.Logs;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Cli.Upstreams;
using Skein.Gateway;
using Skein.Gateway.Keys;
using Skein.Gateway.Links;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Upstreams;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Serving;

namespace Skein.Cli.Commands;

/// <summary><c>skein gateway</c>: serves clients through the replicas of the group.</summary>
internal static class GatewayCommand
{
    private static readonly AdmissionOptions Defaults = new();
    private static readonly Setting<int> Http = EndpointSettings.Port("http", 8080, "HTTP port");
    private static readonly Setting<int> Grpc = EndpointSettings.Port("grpc", 8081, "gRPC port");
    private static readonly Setting<int> QueueLength = Setting.Number(
        "queue-length", "Maximum queued requests per model [default: 512]", Defaults.QueueLength, 0, 1_000_000).Live();

    private static readonly Setting<int> QueuePromptTokens = Setting.Number(
        "queue-prompt-tokens", "Maximum prompt tokens of all queued requests of a model, estimated from bytes [default: 16777216]",
        (int)Defaults.QueuePromptTokens, 1, int.MaxValue).Live();

    private static readonly Setting<bool> MeasuredWeights = Setting.Flag(
        "measured-weights", "Weigh replicas of the same models by their measured speed instead of their configured weights").Live();

    private static readonly Setting<bool> TenantFairness = Setting.Flag(
        "tenant-fairness", "Within a priority class, serve the tenant (by credentials) that was served the fewest tokens");

    private static readonly Setting<TimeSpan> QueueTimeout = Setting.Duration(
        "queue-timeout", "Maximum wait for a slot [default: 60s]", Defaults.QueueTimeout, TimeSpan.FromHours(1), TimeSpan.FromMilliseconds(1)).Live();

    private static readonly Setting<TimeSpan> NoReplicaTimeout = Setting.Duration(
        "no-replica-timeout", "Maximum wait while no replica of the model serves, at most --queue-timeout [default: 30s, or --queue-timeout]",
        Defaults.NoReplicaTimeout, TimeSpan.FromHours(1)).Live();

    private static readonly Setting<string> Policy = Setting.Word(
        "policy", $"Balancing policy [default: {Defaults.Policy}]", Defaults.Policy,
        BalancingPolicies.BuiltIn.Select(policy => policy.Name).Order(StringComparer.Ordinal)).Live();

    private static readonly Setting<IReadOnlyList<string>> ModelPolicies = Setting.List(
        "model-policy", "model=policy", "Balancing policy of one model, repeatable", "a model's name, = and the name of a policy", 1000,
        text => text.LastIndexOf('=') is > 0 and var at && BalancingPolicies.BuiltIn.Any(policy => policy.Name == text[(at + 1)..])).Live();

    private static readonly Setting<int> ExpectedReplicas = Setting.Number(
        "expected-replicas", "Number of live replicas from which /readyz reports ready [default: 1]", 1, 0, 10_000);

    private static readonly Setting<IReadOnlyList<string>> AllowedHosts = Setting.List(
        "allowed-hosts", "name", "Host names, besides localhost, that clients may use while the gateway listens on loopback; * allows any",
        "host names without port, or *", 64, name => name == "*" || Uri.CheckHostName(name) == UriHostNameType.Dns);

    private static readonly Setting<string?> LinkAuthorities = Setting.Text(
        "link-ca", "file", "PEM file with the authorities of the certificates of replicas and other gateways [default: those of the system]");

    private static readonly Setting<TimeSpan> LameDuck = Setting.Duration(
        "lame-duck", "How long to go on serving after SIGTERM while /readyz reports 503, for load balancers [default: 5s]", TimeSpan.FromSeconds(5),
        TimeSpan.FromMinutes(10));

    /// <summary>Who waits, and who serves.</summary>
    internal static IReadOnlyList<ISetting> OfQueue { get; } =
        [Policy, ModelPolicies, MeasuredWeights, QueueLength, QueueTimeout, NoReplicaTimeout, QueuePromptTokens, TenantFairness];

    /// <summary>What a gateway does with requests. <c>skein up</c> takes them for its gateways.</summary>
    internal static IReadOnlyList<ISetting> OfRequests { get; } =
    [
        .. OfQueue, AllowedHosts, .. ApiSettings.All, .. StreamSettings.All, .. BoundSettings.All, .. HealthSettings.All, .. TelemetrySettings.All,
    ];

    /// <summary>All settings of a gateway.</summary>
    internal static IReadOnlyList<ISetting> Settings { get; } =
    [
        Http, Grpc, .. OfRequests, ExpectedReplicas, LameDuck, .. GatewayKeys.All, .. LinkKeyFile.All, LinkAuthorities, .. CertificateFiles.All,
        .. UpstreamSettings.All, .. EndpointSettings.All,
    ];

    public static Command Create() => CommandLine.Verb("gateway", "Run one gateway", Settings, RunAsync);

    /// <summary>Reads everything that configures a gateway, and the files that it names. Nothing is started.</summary>
    /// <param name="certificates">Those in use; null: they are opened.</param>
    /// <exception cref="UsageException">A value is not allowed, or a file cannot be read.</exception>
    internal static GatewayConfiguration Read(SettingSources sources, CertificateFiles? certificates = null)
    {
        certificates ??= CertificateFiles.Open(sources);
        var linkKeys = LinkKeyFile.Open(sources);
        var keys = GatewayKeys.Open(sources);
        string?[] missing = [certificates is null ? "--tls-cert and --tls-key" : null, keys?.AreForClients == true ? null : "--api-key-file"];
        var settings = new EndpointSettings(sources, [.. missing.OfType<string>()]);
        var upstreams = UpstreamSettings.ReadConfigured(sources);
        var options = ReadOptions(sources, settings, certificates, upstreams) with { Link = ReadLink(sources, certificates, linkKeys) };
        return new GatewayConfiguration(sources, settings, options, upstreams, certificates, linkKeys, keys);
    }

    /// <summary>Builds a gateway that is not yet started.</summary>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    /// <param name="log">Null: nothing is logged.</param>
    /// <param name="accessLog">Null: there is none.</param>
    internal static GatewayApp Build(GatewayConfiguration configuration, MemberLog? log = null, LineSink? accessLog = null)
    {
        var telemetry = configuration.Options.Telemetry with { AccessLog = accessLog, Logs = log is null ? [] : [log.Sink] };
        try
        {
            return GatewayApp.Build(
                configuration.Options with { Telemetry = telemetry }, log is null ? null : builder => MemberRun.Configure(builder, log));
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
    }

    /// <summary>What is unusual about the keys.</summary>
    internal static IEnumerable<string> WarningsOf(ApiKeyRing? keys)
    {
        if (keys is not null && !keys.Keys.Any(key => key.Admin))
        {
            yield return "no API key has admin rights: /admin is open to nobody; add one: skein api-keys new FILE --name NAME --admin";
        }
    }

    /// <summary>Reads the file again, and the files that it names, for a gateway that runs. A certificate that was made for a trial stays.</summary>
    internal static GatewayConfiguration Reread(GatewayConfiguration current) =>
        Read(current.Sources.Reopen(), current.Certificates is { TrialPath: not null } trial ? trial : null);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var configuration = Read(sources);
        var (settings, certificates) = (configuration.Settings, configuration.Certificates);
        using var log = MemberLog.Open(settings.LogFormat, settings.Log);
        using var accessLog = TelemetrySettings.OpenAccessLog(sources, settings.IsSupervised);
        using var signal = new StopSignal(settings.IsSupervised);
        await using var gateway = Build(configuration, log, accessLog);
        foreach (var upstream in configuration.Upstreams)
            gateway.Upstreams.Add(upstream.Options);
        if (configuration.Keys is { } keys)
            gateway.Keys.Use(keys.Ring);
        foreach (var warning in WarningsOf(configuration.Keys?.Ring))
            await Console.Error.WriteLineAsync($"skein: {warning}");
        var logs = gateway.Services.GetRequiredService<ILoggerFactory>();
        var reports = new FileReports(logs.CreateLogger<FileReports>(), gateway.Configuration);
        using var followingCertificates = certificates?.Follow(TimeProvider.System, reports);
        using var followingLinkKeys = configuration.LinkKeys?.Follow(TimeProvider.System, reports);
        using var reload = new GatewayReload(gateway, configuration, logs.CreateLogger<GatewayReload>(), Reread);
        reload.Follow(TimeProvider.System);
        try
        {
            await gateway.StartAsync(signal.Stop);
        }
        catch (BindException error)
        {
            var flags = settings.IsSupervised ? "--port" : "--http or --grpc";
            throw new CommandFailedException($"{error.Message}; choose another port with {flags} (0 selects a free one)", error);
        }
        var name = settings.NameFor(gateway.Grpc.Port);
        var metadata = new MemberMetadata
        {
            Role = Roles.Gateway, Http = settings.Advertised(gateway.Http.Port), Grpc = settings.Advertised(gateway.Grpc.Port),
            Tls = certificates is not null,
            Upstreams = UpstreamSharing.DigestsOf(configuration.Upstreams.Select(upstream => upstream.Options)),
        };
        await using var membership = await MemberRun.JoinAsync(settings, name, metadata, gateway.Services, signal.Stop);
        gateway.Join(membership);
        using var following = settings.Keys?.Follow(membership, TimeProvider.System, reports);
        MemberRun.ReportReady(settings, new MemberReady(name, metadata.Http, metadata.Grpc, settings.Advertised(membership.LocalEndPoint.Port)),
            certificates is not null,
            OpenDoors.OfGateway(
                settings.BindAddress, new OpenKeys(configuration.Keys?.AreForClients == true, configuration.Keys is not null), certificates is not null,
                certificates?.TrialPath, settings.Keys is not null, certificates?.Current.ClientAuthorities is not null));
        await MemberRun.WaitForStopAsync(membership, gateway.Services, signal, gateway.Stopping);
        // Who presses Ctrl-C waits in front of the terminal, and has no load balancer.
        if (!signal.IsInterrupted)
            await gateway.PrepareStopAsync(signal.AtOnce);
        // The gateway leaves the group first, so that it receives no new work; then its streams finish.
        await membership.LeaveAsync(signal.AtOnce);
        await gateway.StopAsync(signal.AtOnce);
        return CommandLine.Success;
    }

    private static LinkOptions ReadLink(SettingSources sources, CertificateFiles? certificates, LinkKeyFile? keys) => new()
    {
        Keys = keys is null ? null : () => keys.Current,
        // Gateways of one machine and user have the same certificate for a trial.
        Authorities = (LinkAuthorities.Read(sources) ?? certificates?.TrialPath) is { } path ? AuthorityFile.Read(path, "--link-ca") : null,
        Identity = certificates is null ? null : () => certificates.Current,
    };

    private static GatewayOptions ReadOptions(
        SettingSources sources, EndpointSettings settings, CertificateFiles? certificates, IReadOnlyList<ConfiguredUpstream> upstreams)
    {
        var queueTimeout = QueueTimeout.Read(sources);
        var options = new GatewayOptions
        {
            Http = new IPEndPoint(settings.BindAddress, Http.Read(sources)),
            Grpc = new IPEndPoint(settings.BindAddress, Grpc.Read(sources)),
            ExpectedReplicas = ExpectedReplicas.Read(sources),
            StopTimeout = settings.StopGrace,
            LameDuck = LameDuck.Read(sources),
            Tls = certificates is null ? null : () => certificates.Current,
            AllowedHosts = AllowedHosts.Read(sources),
            Telemetry = TelemetrySettings.Read(sources, settings.Membership.Name),
            Health = HealthSettings.Read(sources),
            Admission = new AdmissionOptions
            {
                QueueLength = QueueLength.Read(sources),
                QueueTimeout = queueTimeout,
                QueuePromptTokens = QueuePromptTokens.Read(sources),
                TenantFairness = TenantFairness.Read(sources),
                MeasuredWeights = MeasuredWeights.Read(sources),
                NoReplicaTimeout = NoReplicaTimeout.Read(sources) is var wait && wait < queueTimeout ? wait : queueTimeout,
                Policy = Policy.Read(sources),
                ModelPolicies = ModelPolicies.Read(sources)
                    .GroupBy(text => text[..text.LastIndexOf('=')], text => text[(text.LastIndexOf('=') + 1)..], StringComparer.Ordinal)
                    .ToDictionary(policies => policies.Key, policies => policies.Last(), StringComparer.Ordinal),
            },
            Streaming = StreamSettings.Read(sources),
        };
        options = ApiSettings.Read(sources, options);
        ApiSettings.RefuseDangling(options.Aliases, [.. upstreams.Select(upstream => upstream.Options)], settings.Membership.Seeds.Count > 0);
        return BoundSettings.Read(sources, options);
    }
}
