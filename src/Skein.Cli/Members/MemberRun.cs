using System.Net;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Skein.Cli.Settings;
using Skein.Cli.Supervision;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Cli.Members;

/// <summary>What running a gateway and running a replica have in common: logging, joining the group, telling that it is up.</summary>
internal static class MemberRun
{
    public static string Version { get; } =
        typeof(MemberRun).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "0.0.0";

    /// <summary>Log lines go to standard error: standard output belongs to the supervisor.</summary>
    public static void Configure(WebApplicationBuilder builder, LogWord level)
    {
        builder.Logging.SetMinimumLevel(level switch
        {
            LogWord.Debug => LogLevel.Debug,
            LogWord.Warning => LogLevel.Warning,
            LogWord.Error => LogLevel.Error,
            _ => LogLevel.Information,
        });
        builder.Logging.AddFilter("Microsoft", level == LogWord.Debug ? LogLevel.Debug : LogLevel.Warning);
        builder.Logging.AddFilter("Grpc", level == LogWord.Debug ? LogLevel.Debug : LogLevel.Warning);
        // It logs each "not yet" of a start as an error.
        builder.Logging.AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None);
        // It logs a start that failed with its stack; the verb tells the same in one line.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical);
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
        });
        builder.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
    }

    /// <exception cref="UsageException">A seed or the name is not allowed.</exception>
    /// <exception cref="CommandFailedException">The port is in use, or the name answers elsewhere.</exception>
    public static async Task<IMembership> JoinAsync(
        EndpointSettings settings, string name, MemberMetadata metadata, IServiceProvider services, CancellationToken cancellationToken)
    {
        metadata.Version = Version;
        metadata.Pid = (uint)Environment.ProcessId;
        LeaveOutModelsThatDoNotFit(metadata);
        var options = new MembershipOptions
        {
            Name = name,
            Cluster = settings.ClusterName,
            Bind = new IPEndPoint(settings.BindAddress, settings.GossipPort),
            Advertise = new IPEndPoint(settings.AdvertisedAddress, 0),
            Seeds = settings.Seeds,
            Insecure = settings.IsInsecure,
            Keys = settings.Keys?.Read() ?? GossipKeys.None,
            Protocol = settings.Protocol,
            BeaconsTo = metadata.Role == Roles.Replica ? Roles.Gateway : "",
        };
        try
        {
            var logs = services.GetRequiredService<ILoggerFactory>();
            var membership = await MembershipService.StartAsync(options, metadata, TimeProvider.System, logs, cancellationToken);
            _ = SeedWatch.FollowAsync(membership, logs.CreateLogger(typeof(SeedWatch)));
            return membership;
        }
        catch (MembershipException error) when (error.Error == MembershipError.InvalidOption)
        {
            throw new UsageException(error.Message);
        }
        catch (MembershipException error)
        {
            var advice = error.Error switch
            {
                MembershipError.AddressInUse => "; choose another port with --gossip (0 takes a free one)",
                MembershipError.NameTaken => "; choose another name with --name",
                _ => "",
            };
            throw new CommandFailedException(error.Message + advice, error);
        }
    }

    /// <summary>Names that do not fit into gossip are left to Describe; the digest says that there are some.</summary>
    internal static void LeaveOutModelsThatDoNotFit(MemberMetadata metadata)
    {
        const int MarkOfDrain = 2;
        if (metadata.CalculateSize() > MembershipOptions.MaxMetadataBytes - MarkOfDrain)
            metadata.Models.Clear();
    }

    /// <summary>Tells the supervisor, or the person at the terminal, that the member is up.</summary>
    public static void TellReady(EndpointSettings settings, MemberReady ready)
    {
        if (settings.IsSupervised)
        {
            Console.WriteLine(ready.ToLine());
            return;
        }
        var http = ready.Http.Length > 0 ? $"HTTP on http://{ready.Http}, " : "";
        Console.Error.WriteLine($"{ready.Name} is up: {http}gRPC on {ready.Grpc}, gossip on {ready.Gossip}; Ctrl-C drains and leaves");
        if (settings.Seeds.Count == 0)
            Console.Error.WriteLine($"others join it with --join {ready.Gossip}");
    }

    /// <summary>Waits for the signal to stop, for a newer generation of this name, or for a host that stops because a background service failed.</summary>
    /// <exception cref="CommandFailedException">A newer generation of this name took over, or a background service failed.</exception>
    public static async Task WaitForStopAsync(IMembership membership, StopSignal signal, CancellationToken hostStopping = default)
    {
        var failed = new TaskCompletionSource();
        await using var onStop = hostStopping.Register(failed.SetResult);
        var first = await Task.WhenAny(signal.WaitAsync(), membership.Superseded, failed.Task);
        if (first == failed.Task)
            throw new CommandFailedException("a background service failed, see the log; this process ends");
        if (first == membership.Superseded)
        {
            var newer = await membership.Superseded;
            throw new CommandFailedException(
                $"a newer process took over the name '{newer.Name}' (gossip {newer.Gossip}, pid {newer.Metadata.Pid}); this one ends");
        }
    }
}
