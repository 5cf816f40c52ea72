using System.Net;
using System.Net.Sockets;
using Skein.Cli.Settings;
using Skein.Membership;

namespace Skein.Cli.Members;

/// <summary>Addresses, group and logging of a member; the same for gateways and replicas.</summary>
internal sealed class EndpointSettings
{
    private static readonly Setting<IPAddress> Bind = new(
        "bind", "ip", "Address to listen on [default: 127.0.0.1]", "an IP address", IPAddress.Loopback,
        (string text, out IPAddress read) => IPAddress.TryParse(text, out read!));

    private static readonly Setting<IPAddress?> Advertise = new(
        "advertise", "ip", "Address under which other members reach this one [default: --bind]", "an IP address", null,
        (string text, out IPAddress? read) => IPAddress.TryParse(text, out read));

    private static readonly Setting<string?> Name = new(
        "name", "name", "Unique name of this member [default: <host>-<gRPC port>]", MembershipOptions.AllowedNames, null,
        (string text, out string? read) => MembershipOptions.IsName(read = text));

    private static readonly Setting<string> Cluster = new(
        "cluster", "name", "Name of the group; members of other groups are ignored [default: skein]", "a text that is not blank", "skein",
        (string text, out string read) => !string.IsNullOrWhiteSpace(read = text));

    private static readonly Setting<IReadOnlyList<string>> Join = Setting.List(
        "join", "host:port", "Gossip address of a member to join; repeatable, or several joined by commas", "host:port, [ipv6]:port or host", 64,
        MembershipOptions.IsSeed);

    private static readonly Setting<int> Gossip = Port("gossip", 7946, "Gossip port, UDP and TCP");
    private static readonly Setting<bool> Insecure = Setting.Flag("insecure", "Allow an address other than loopback without keys");
    private static readonly Setting<string?> KeyFile = Setting.Text(
        "gossip-key-file", "file", "Keys that encrypt gossip, see 'skein gossip-keys'; reloaded when the file changes");

    private static readonly Setting<Profile> ProfileName = Setting.Choice(
        "profile", "Timing of the group; fast detects failures within a second at five times the traffic [default: lan]", Profile.Lan);

    private static readonly Setting<LogWord> LogLevel = Setting.Choice("log", "Minimum log level [default: information]", LogWord.Information);
    private static readonly Setting<TimeSpan> Grace = Setting.Duration(
        "grace", "How long streams may finish after Ctrl-C or SIGTERM [default: 30s]", TimeSpan.FromSeconds(30), TimeSpan.FromHours(1));

    /// <summary>The member is a child process of <c>skein up</c>.</summary>
    private static readonly Setting<bool> Supervised = Setting.Flag("supervised", "Stop when standard input ends").Hidden();

    private readonly string? _name;

    /// <summary>Reads all settings, so that an invalid value is reported before anything starts.</summary>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public EndpointSettings(SettingSources sources)
    {
        _name = Name.Read(sources);
        IsSupervised = Supervised.Read(sources);
        GossipPort = Gossip.Read(sources);
        ClusterName = Cluster.Read(sources);
        Seeds = Join.Read(sources);
        StopGrace = Grace.Read(sources);
        Log = LogLevel.Read(sources);
        Protocol = ProfileName.Read(sources) switch
        {
            Profile.Fast => ProtocolOptions.Fast,
            Profile.Wan => ProtocolOptions.Wan,
            _ => ProtocolOptions.Lan,
        };
        BindAddress = Bind.Read(sources);
        AdvertisedAddress = Advertise.Read(sources) ?? BindAddress;
        IsInsecure = Insecure.Read(sources);
        // A gossip key does not protect HTTP and gRPC.
        if (!IPAddress.IsLoopback(BindAddress) && !IsInsecure)
        {
            throw new UsageException(
                $"--bind {BindAddress} opens this member to the network without keys; allowed: a loopback address, or --insecure with it");
        }
        Keys = GossipKeyFile.From(KeyFile.Read(sources));
        if (AdvertisedAddress.Equals(IPAddress.Any) || AdvertisedAddress.Equals(IPAddress.IPv6Any))
        {
            throw new UsageException(
                $"--advertise {AdvertisedAddress} is not reachable; with --bind {BindAddress} set --advertise to the address of this host");
        }
    }

    /// <summary>The configured name; null: the name will be derived from the bound port.</summary>
    public static string? GivenName(SettingSources sources) => Name.Read(sources);

    public static IReadOnlyList<ISetting> All { get; } =
        [Name, Bind, Advertise, Gossip, Join, Cluster, KeyFile, ProfileName, Insecure, Grace, LogLevel, Supervised];

    /// <summary>The gossip key file; null if there is none.</summary>
    public GossipKeyFile? Keys { get; }

    public ProtocolOptions Protocol { get; }

    public IPAddress BindAddress { get; }

    public IPAddress AdvertisedAddress { get; }

    public bool IsInsecure { get; }

    public bool IsSupervised { get; }

    public int GossipPort { get; }

    public string ClusterName { get; }

    public IReadOnlyList<string> Seeds { get; }

    public TimeSpan StopGrace { get; }

    public LogWord Log { get; }

    /// <summary>Creates a port setting.</summary>
    public static Setting<int> Port(string name, int defaultValue, string what) =>
        Setting.Number(name, $"{what}; 0 selects a free one [default: {defaultValue}]", defaultValue, 0, 65_535);

    public string NameFor(int grpcPort) => _name ?? $"{Dns.GetHostName()}-{grpcPort}";

    public string Advertised(int port) => new IPEndPoint(AdvertisedAddress, port).ToString();
}

/// <summary>Timing of membership.</summary>
internal enum Profile
{
    Lan,
    Fast,
    Wan,
}

/// <summary>Log levels.</summary>
internal enum LogWord
{
    Debug,
    Information,
    Warning,
    Error,
}
