using System.Net;
using System.Net.Sockets;
using Skein.Cli.Settings;
using Skein.Membership;

namespace Skein.Cli.Members;

/// <summary>Where a member listens, how others reach it, and which group it joins: the same for gateways and replicas.</summary>
internal sealed class EndpointSettings
{
    private static readonly Setting<IPAddress> Bind = new(
        "bind", "ip", "Address to listen on [default: 127.0.0.1]", "an IP address", IPAddress.Loopback, (string text, out IPAddress read) => IPAddress.TryParse(text, out read!));

    private static readonly Setting<IPAddress?> Advertise = new(
        "advertise", "ip", "Address at which others reach this member [default: --bind]", "an IP address", null, (string text, out IPAddress? read) => IPAddress.TryParse(text, out read));

    private static readonly Setting<string?> Name = Setting.Text("name", "name", "Unique name of this member [default: <host>-<gRPC port>]");
    private static readonly Setting<string?> Cluster = Setting.Text("cluster", "name", "Name of the group; members of other groups are ignored [default: skein]");
    private static readonly Setting<IReadOnlyList<string>> Join = Setting.List("join", "host:port", "Gossip address of a member to join; several: joined by commas, or given several times");
    private static readonly Setting<int> Gossip = Port("gossip", 7946, "Port of gossip, UDP and TCP");
    private static readonly Setting<bool> Insecure = Setting.Flag("insecure", "Allow an address other than loopback without keys");
    private static readonly Setting<string?> KeyFile = Setting.Text(
        "gossip-key-file", "file", "Keys that seal gossip, see 'skein gossip-keys'; changes are taken in while running");

    private static readonly Setting<Profile> ProfileName = Setting.Choice(
        "profile", "Timing of the group: lan, fast (detection below a second, five times the traffic) or wan [default: lan]", Profile.Lan);

    private static readonly Setting<LogWord> LogLevel = Setting.Choice("log", "Least serious messages to log: debug, information, warning or error [default: information]", LogWord.Information);
    private static readonly Setting<TimeSpan> Grace = Setting.Duration(
        "grace", "How long running streams may take to finish after Ctrl-C or SIGTERM [default: 30s]", TimeSpan.FromSeconds(30), TimeSpan.FromHours(1));

    /// <summary>The member is a child of <c>skein up</c>.</summary>
    private static readonly Setting<bool> Supervised = Setting.Flag("supervised", "Stop when standard input ends").Hidden();

    private readonly SettingSources _sources;

    /// <exception cref="UsageException">A value is not allowed.</exception>
    public EndpointSettings(SettingSources sources)
    {
        _sources = sources;
        BindAddress = Bind.Read(sources);
        AdvertisedAddress = Advertise.Read(sources) ?? BindAddress;
        IsInsecure = Insecure.Read(sources);
        // A gossip key alone does not protect HTTP and gRPC: those have no keys yet.
        if (!IPAddress.IsLoopback(BindAddress) && !IsInsecure)
            throw new UsageException($"--bind {BindAddress} opens this member to the network without keys; allowed: a loopback address, or --insecure with it");
        Keys = GossipKeyFile.From(KeyFile.Read(sources));
        if (AdvertisedAddress.Equals(IPAddress.Any) || AdvertisedAddress.Equals(IPAddress.IPv6Any))
            throw new UsageException($"--advertise {AdvertisedAddress} is nowhere to connect to; with --bind {BindAddress} name the address of this host by --advertise");
    }

    public static IReadOnlyList<ISetting> All { get; } = [Name, Bind, Advertise, Gossip, Join, Cluster, KeyFile, ProfileName, Insecure, Grace, LogLevel, Supervised];

    /// <summary>The file of gossip keys; null: none.</summary>
    public GossipKeyFile? Keys { get; }

    public ProtocolOptions Protocol => ProfileName.Read(_sources) switch
    {
        Profile.Fast => ProtocolOptions.Fast,
        Profile.Wan => ProtocolOptions.Wan,
        _ => ProtocolOptions.Lan,
    };

    public IPAddress BindAddress { get; }

    public IPAddress AdvertisedAddress { get; }

    public bool IsInsecure { get; }

    public bool IsSupervised => Supervised.Read(_sources);

    public int GossipPort => Gossip.Read(_sources);

    public string ClusterName => Cluster.Read(_sources) ?? "skein";

    public IReadOnlyList<string> Seeds => Join.Read(_sources);

    public TimeSpan StopGrace => Grace.Read(_sources);

    public LogWord Log => LogLevel.Read(_sources);

    /// <summary>A port setting.</summary>
    public static Setting<int> Port(string name, int defaultValue, string what) =>
        Setting.Number(name, $"{what}; 0 takes a free one [default: {defaultValue}]", defaultValue, 0, 65_535);

    public string NameFor(int grpcPort) => Name.Read(_sources) ?? $"{Dns.GetHostName()}-{grpcPort}";

    public string Advertised(int port) => new IPEndPoint(AdvertisedAddress, port).ToString();
}

/// <summary>Timing of membership, as users write it.</summary>
internal enum Profile
{
    Lan,
    Fast,
    Wan,
}

/// <summary>Levels of logging, as users write them.</summary>
internal enum LogWord
{
    Debug,
    Information,
    Warning,
    Error,
}
