using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Skein.Cli.Logs;
using Skein.Cli.Members;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Skein.Engines;
using Skein.Gateway.Telemetry;
using Skein.Serving;
using Skein.Serving.Grpc;

namespace Skein.Cli.Commands;

/// <summary><c>skein replica</c>: serves models through one engine.</summary>
internal static class ReplicaCommand
{
    private static readonly Setting<int> Grpc = EndpointSettings.Port("grpc", 8090, "gRPC port");
    private static readonly Setting<int?> Slots = Setting.OptionalNumber(
        "slots", "Concurrent requests [default: the engine's own number, else a number that begins at 64 and adapts]", 1, 100_000);

    private static readonly Setting<double> Weight = Setting.Real("weight", "Share of requests relative to other replicas [default: 1]", 1, 0.001, 1000);
    private static readonly Setting<string?> Revision = Setting.Text("revision", "text", "Revision of the model and its settings; any name");

    /// <summary>All settings of a replica.</summary>
    internal static IReadOnlyList<ISetting> Settings { get; } =
    [
        EngineSettings.Engine, .. EngineSettings.Details, Grpc, Slots, Weight, Revision, .. LinkKeyFile.All, .. CertificateFiles.All,
        .. TelemetrySettings.OfReplicas, .. EndpointSettings.All,
    ];

    public static Command Create() => CommandLine.Verb("replica", "Run one replica with its engine", Settings, RunAsync);

    private static async Task<int> RunAsync(SettingSources sources)
    {
        var (certificates, linkKeys) = (CertificateFiles.Open(sources), LinkKeyFile.Open(sources));
        string?[] missing = [certificates is null ? "--tls-cert and --tls-key" : null, linkKeys is null ? "--link-key-file" : null];
        var settings = new EndpointSettings(sources, [.. missing.OfType<string>()]);
        using var log = MemberLog.Open(settings.LogFormat, settings.Log);
        using var signal = new StopSignal(settings.IsSupervised);
        // All settings are validated before the engine loads.
        var slots = Slots.Read(sources);
        var port = Grpc.Read(sources);
        var telemetry = TelemetrySettings.Read(sources, settings.Membership.Name);
        var metadata = new MemberMetadata
        {
            Role = Roles.Replica, Weight = (float)Weight.Read(sources), Revision = Revision.Read(sources) ?? "", Tls = certificates is not null,
        };
        await using var engine = await EngineSettings.CreateAsync(sources, slots, signal.Stop);
        var description = await engine.DescribeAsync(signal.Stop);
        var options = new ReplicaOptions
        {
            Endpoint = new IPEndPoint(settings.BindAddress, port),
            Slots = slots,
            EngineTimeout = EngineSettings.ReadEngineTimeout(sources),
            StopTimeout = settings.StopGrace,
            LinkKeys = linkKeys is null ? null : () => linkKeys.Current,
            Tls = certificates is null ? null : () => certificates.Current,
            Restart = settings.IsSupervised ? revision => LeaveForRestart(revision, signal) : null,
        };
        await using var replica = ReplicaApp.Build(options, engine, builder =>
        {
            MemberRun.Configure(builder, log);
            builder.Services.AddReplicaExport(telemetry, EndpointSettings.GivenName(sources));
        });
        var logs = replica.Services.GetRequiredService<ILoggerFactory>();
        var reports = new FileReports(logs.CreateLogger<FileReports>());
        using var followingCertificates = certificates?.Follow(TimeProvider.System, reports);
        using var followingLinkKeys = linkKeys?.Follow(TimeProvider.System, reports);
        try
        {
            await replica.StartAsync(signal.Stop);
        }
        catch (BindException error)
        {
            throw new CommandFailedException($"{error.Message}; choose another port with --grpc (0 selects a free one)", error);
        }
        if (description.Models.FirstOrDefault(model => !model.NoGeneration) is { } warmed)
        {
            var self = WarmUp.Connect(replica.Endpoint, linkKeys?.Current, certificates?.Current);
            await WarmUp.RunAsync(self, warmed, logs.CreateLogger(typeof(WarmUp)), signal.Stop);
        }
        var name = settings.NameFor(replica.Endpoint.Port);
        Describe(metadata, settings, replica, description);
        await using var membership = await MemberRun.JoinAsync(settings, name, metadata, replica.Services, signal.Stop);
        replica.Control.SetGeneration(membership.Current.Self.Generation);
        using var load = MemberRun.PublishLoad(membership, replica.Control);
        using var drain = new DrainPublisher(membership, metadata, replica.Control);
        using var pressure = new KvPressurePublisher(drain, replica.Control, TimeProvider.System);
        replica.DescriptionChanged += changed => drain.Update(published =>
        {
            DescribeModels(published, changed);
            MemberRun.ReserveSpaceForDrain(published);
        });
        using var following = settings.Keys?.Follow(membership, TimeProvider.System, reports);
        MemberRun.ReportReady(
            settings, new MemberReady(name, "", metadata.Grpc, settings.Advertised(membership.LocalEndPoint.Port)), certificates is not null,
            OpenDoors.OfReplica(settings.BindAddress, linkKeys is not null, certificates is not null, certificates?.TrialPath, settings.Keys is not null));
        await MemberRun.WaitForStopAsync(membership, replica.Services, signal, replica.Stopping);
        await LeaveAsync(membership, replica, settings.StopGrace, signal);
        return CommandLine.Success;
    }

    private static void Describe(MemberMetadata metadata, EndpointSettings settings, ReplicaApp replica, EngineDescription description)
    {
        metadata.Grpc = settings.Advertised(replica.Endpoint.Port);
        metadata.Slots = (uint)replica.Control.Slots;
        DescribeModels(metadata, description);
    }

    private static void DescribeModels(MemberMetadata metadata, EngineDescription description)
    {
        metadata.Models.Clear();
        metadata.Models.Add(description.Models.Select(model => model.Name));
        metadata.ModelsDigest = Digest(description.Models.Select(model => model.Name));
        metadata.Fingerprint = Digest(description.Models.Select(model => $"{model.Name} {model.Fingerprint} {model.ResumeTier} {model.ResumeReason}"));
    }

    /// <summary>Accepts no new requests, lets streams finish within the grace period, then leaves the group.</summary>
    private static async Task LeaveAsync(IMembership membership, ReplicaApp replica, TimeSpan grace, StopSignal signal)
    {
        replica.Control.Drain();
        using var timeout = new CancellationTokenSource(grace, TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, signal.AtOnce);
        // After the grace period the remaining streams continue on other replicas.
        await replica.Control.WhenIdleAsync(either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await membership.LeaveAsync(signal.AtOnce);
        await replica.StopAsync(either.Token);
    }

    private static void LeaveForRestart(string revision, StopSignal signal)
    {
        Console.WriteLine(new RequestedRestart(revision).ToLine());
        signal.Request();
    }

    private static ulong Digest(IEnumerable<string> lines) =>
        BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', lines.Order(StringComparer.Ordinal)))));
}
