using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting.Systemd;
using Microsoft.Extensions.Logging;
using Skein.Cli.Logs;
using Skein.Cli.Terminal;
using Skein.Serving;

namespace Skein.Cli.Members;

/// <summary>What gateways and replicas have in common: logging, joining the group, reporting that they are ready.</summary>
internal static class MemberRun
{
    /// <summary>Slots that adapt do not exceed it: it takes as many bytes as any number up to it.</summary>
    private const uint MostAdaptiveSlots = 1024;

    /// <summary>systemd, if it has started this process with Type=notify; else nothing is sent.</summary>
    private static readonly SystemdNotifier ServiceManager = new();

    private static readonly TimeSpan LoadPeriod = TimeSpan.FromMilliseconds(20);

    public static string Version { get; } =
        typeof(MemberRun).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0";

    /// <summary>Configures logging to standard error; standard output is reserved for messages to the supervisor.</summary>
    public static void Configure(WebApplicationBuilder builder, MemberLog log)
    {
        var level = log.Level;
        builder.Logging.SetMinimumLevel(level);
        var frameworkLevel = level == LogLevel.Debug ? LogLevel.Debug : LogLevel.Warning;
        builder.Logging.AddFilter("Microsoft", frameworkLevel);
        builder.Logging.AddFilter("Grpc", frameworkLevel);
        // This category logs every unready check during the start as an error.
        builder.Logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None);
        // This category logs a failed start with its stack; the verb reports it in one line.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        // Not disposed by the host: what is written after it counts too.
        builder.Services.AddSingleton<ILoggerProvider>(new Borrowed(log));
    }

    private sealed class Borrowed(MemberLog log) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => log.CreateLogger(categoryName);

        public void Dispose()
        {
        }
    }

    public static async Task<IMembership> JoinAsync(
        EndpointSettings settings, string name, MemberMetadata metadata, IServiceProvider services, CancellationToken cancellationToken)
    {
        metadata.Version = Version;
        metadata.Pid = (uint)Environment.ProcessId;
        ReserveSpaceForDrain(metadata);
        var options = settings.Membership with
        {
            Name = name, Keys = settings.Keys?.Read() ?? GossipKeys.None, BeaconsTo = metadata.Role == Roles.Replica ? Roles.Gateway : "",
        };
        try
        {
            var logs = services.GetRequiredService<ILoggerFactory>();
            return await MembershipService.StartAsync(options, metadata, TimeProvider.System, logs, cancellationToken);
        }
        catch (ArgumentException error)
        {
            throw new UsageException(error.Message);
        }
        catch (MembershipException error)
        {
            throw error.Error switch
            {
                MembershipError.AddressInUse => new CommandFailedException($"{error.Message}; choose another port with --gossip (0 selects a free one)", error),
                MembershipError.NameTaken => new CommandFailedException($"{error.Message}; choose another name with --name", error),
                _ => new CommandFailedException(error.Message, error),
            };
        }
    }

    /// <summary>
    /// Drops the model names if the metadata would exceed its limit once <see cref="DrainPublisher"/> sets its fields. Gateways then
    /// read the names from Describe; the digest still announces them.
    /// </summary>
    internal static void ReserveSpaceForDrain(MemberMetadata metadata)
    {
        var drained = metadata.Clone();
        drained.Draining = drained.HandOver = true;
        drained.Slots = Math.Max(drained.Slots, MostAdaptiveSlots);
        drained.KvEighths = KvPressurePublisher.Most;
        if (drained.CalculateSize() <= MembershipOptions.MaxMetadataBytes)
            return;
        metadata.Models.Clear();
        drained.Models.Clear();
        if (drained.CalculateSize() is var size && size > MembershipOptions.MaxMetadataBytes)
            throw new UsageException($"the member's metadata takes {size} bytes: allowed are up to {MembershipOptions.MaxMetadataBytes}; shorten --revision");
    }

    /// <summary>Publishes a replica's load to the group every 20 ms, until disposed; membership sends it as beacons and gossip.</summary>
    public static IDisposable PublishLoad(IMembership membership, IReplicaControl control) => TimeProvider.System.CreateTimer(
        _ => membership.UpdateLoad((int)control.Report().Running, queued: 0), null, LoadPeriod, LoadPeriod);

    /// <summary>Reports to the supervisor, or on standard error, that the member is ready, and what is open to whom.</summary>
    /// <param name="open">Lines about what is open, each with the flag that closes it.</param>
    public static void ReportReady(EndpointSettings settings, MemberReady ready, bool hasTls = false, params IEnumerable<string> open)
    {
        ServiceManager.Notify(ServiceState.Ready);
        if (settings.IsSupervised)
        {
            Console.WriteLine((ready with { Tls = hasTls }).ToLine());
            return;
        }
        var http = ready.Http.Length > 0 ? $"HTTP on {(hasTls ? "https" : "http")}://{ready.Http}, " : "";
        Console.Error.WriteLine($"{ready.Name} is up: {http}gRPC on {ready.Grpc}, gossip on {ready.Gossip}; Ctrl-C drains and leaves");
        if (settings.Membership.Seeds.Count == 0)
            Console.Error.WriteLine($"other members join with --join {ready.Gossip}");
        foreach (var line in open)
            Console.Error.WriteLine($"  {line}");
    }

    /// <summary>
    /// Logs the changes of the seeds, and waits for the signal to stop, for a newer generation of this name, or for a background service that failed.
    /// </summary>
    public static async Task WaitForStopAsync(IMembership membership, IServiceProvider services, StopSignal signal, CancellationToken hostStopping = default)
    {
        var seeds = SeedWatch.FollowAsync(membership, services.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(SeedWatch)));
        var failed = new TaskCompletionSource();
        await using var onStop = hostStopping.Register(failed.SetResult);
        var first = await Task.WhenAny(signal.WaitAsync(), membership.Superseded, failed.Task, seeds);
        ServiceManager.Notify(ServiceState.Stopping);
        if (first == failed.Task || first == seeds)
            throw new CommandFailedException("a background service failed; the log has the exception");
        if (first == membership.Superseded)
        {
            var newer = await membership.Superseded;
            throw new CommandFailedException(
                $"a newer process took over the name '{newer.Name}' (gossip {newer.Gossip}, pid {newer.Metadata.Pid}); this one ends");
        }
    }
}
