using System.Net;
using Microsoft.Extensions.Logging;
using Skein.Cli.Logs;
using Skein.Cli.Settings;

namespace Skein.Cli.Members;

/// <summary>Addresses, group and logging of a member; the same for gateways and replicas.</summary>
internal sealed class EndpointSettings
{
    public static readonly (string Word, LogLevel Level)[] LogLevels =
        [("debug", LogLevel.Debug), ("information", LogLevel.Information), ("warning", LogLevel.Warning), ("error", LogLevel.Error)];

    private static readonly Setting<IPAddress> Bind = new(
        "bind", "ip", "Address to listen on [default: 127.0.0.1, or ::1 on a host without it]", "an IP address", DefaultLoopback.Address,
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
    private static readonly Setting<bool> Insecure = Setting.Flag(
        "insecure", "Allow an address other than loopback without all of TLS, keys and encrypted gossip");
    private static readonly Setting<string?> KeyFile = Setting.Text(
        "gossip-key-file", "file", "Keys that encrypt gossip, see 'skein gossip-keys'; reloaded when the file changes");

    private static readonly Setting<ProtocolOptions> Profile = Setting.Choice(
        "profile", "Timing of the group; fast detects failures within a second at five times the traffic [default: lan]", ProtocolOptions.Lan,
        ("lan", ProtocolOptions.Lan), ("fast", ProtocolOptions.Fast), ("wan", ProtocolOptions.Wan));

    private static readonly Setting<LogLevel> MinLevel = Setting.Choice(
        "log", "Minimum log level [default: information]", LogLevel.Information, LogLevels);

    private static readonly Setting<LogFormat> Format = Setting.Choice(
        "log-format", "Lines of the log: text, or one JSON object each [default: text]", LogFormat.Text, ("text", LogFormat.Text), ("json", LogFormat.Json));

    /// <summary><c>--grace</c>, of <c>skein up</c> too.</summary>
    public static Setting<TimeSpan> Grace { get; } = Setting.Duration(
        "grace", "How long streams may finish after Ctrl-C or SIGTERM [default: 30s]", TimeSpan.FromSeconds(30), TimeSpan.FromHours(1));

    private static readonly Setting<bool> Supervised = Setting.Flag("supervised", "Stop when standard input ends").Hidden();

    private readonly IPAddress _advertised;

    /// <summary>Reads all settings, so that an invalid value is reported before anything starts.</summary>
    /// <param name="unprotected">Flags that would protect HTTP and gRPC and are not set.</param>
    public EndpointSettings(SettingSources sources, IReadOnlyList<string> unprotected)
    {
        BindAddress = Bind.Read(sources);
        _advertised = Advertise.Read(sources) ?? BindAddress;
        IsSupervised = Supervised.Read(sources);
        StopGrace = Grace.Read(sources);
        Log = MinLevel.Read(sources);
        LogFormat = Format.Read(sources);
        Membership = new MembershipOptions
        {
            Name = Name.Read(sources) ?? "",
            Cluster = Cluster.Read(sources),
            Bind = new IPEndPoint(BindAddress, Gossip.Read(sources)),
            Advertise = new IPEndPoint(_advertised, 0),
            Seeds = Join.Read(sources),
            Insecure = Insecure.Read(sources),
            Protocol = Profile.Read(sources),
        };
        if (KeyFile.Read(sources) is { } path)
        {
            Keys = new GossipKeyFile(path);
            PrivateFile.WarnIfOpen(path, KeyFile.Option.Name);
        }
        if (!IPAddress.IsLoopback(BindAddress) && !Membership.Insecure)
        {
            List<string> missing = [.. unprotected];
            if (Keys is null)
                missing.Add("--gossip-key-file");
            if (missing.Count > 0)
            {
                throw new UsageException(
                    $"--bind {BindAddress} opens this member to the network without protection; missing: {string.Join(", ", missing)}; "
                    + "allowed: these flags, a loopback address, or --insecure");
            }
        }
        if (_advertised.Equals(IPAddress.Any) || _advertised.Equals(IPAddress.IPv6Any))
        {
            throw new UsageException(
                $"--advertise {_advertised} is not reachable; with --bind {BindAddress} set --advertise to the address of this host");
        }
    }

    public static IReadOnlyList<ISetting> All { get; } =
        [Name, Bind, Advertise, Gossip, Join, Cluster, KeyFile, Profile, Insecure, Grace, MinLevel, Format, Supervised];

    /// <summary>Whether members that this process starts encrypt gossip with keys that the environment names.</summary>
    public static bool InheritsGossipKeys => Environment.GetEnvironmentVariable(KeyFile.EnvironmentVariable) is { Length: > 0 };

    public GossipKeyFile? Keys { get; }

    /// <summary>Options of the membership, without keys and the role's own ones. The name is empty if none was configured.</summary>
    public MembershipOptions Membership { get; }

    public IPAddress BindAddress { get; }

    public bool IsSupervised { get; }

    public TimeSpan StopGrace { get; }

    public LogLevel Log { get; }

    public LogFormat LogFormat { get; }

    /// <summary>The configured name; null: the name will be derived from the bound port.</summary>
    public static string? GivenName(SettingSources sources) => Name.Read(sources);

    /// <summary>The addresses at which others may reach this member, without those that mean any.</summary>
    public static IEnumerable<IPAddress> AddressesOf(SettingSources sources) =>
        new[] { Bind.Read(sources), Advertise.Read(sources) }.OfType<IPAddress>()
            .Where(address => !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any));

    public static Setting<int> Port(string name, int defaultValue, string what) =>
        Setting.Number(name, $"{what}; 0 selects a free one [default: {defaultValue}]", defaultValue, 0, 65_535);

    public string NameFor(int grpcPort) => Membership.Name.Length > 0 ? Membership.Name : $"{Dns.GetHostName()}-{grpcPort}";

    public string Advertised(int port) => new IPEndPoint(_advertised, port).ToString();
}
