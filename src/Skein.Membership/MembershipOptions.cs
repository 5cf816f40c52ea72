using Skein.Membership.Codec;
using Skein.Membership.Transport;
using Skein.Protocol;

namespace Skein.Membership;

/// <summary>Configuration of one member. Immutable.</summary>
public sealed record MembershipOptions
{
    /// <summary>Default gossip port, UDP and TCP: 7946.</summary>
    public const int DefaultPort = 7946;

    /// <summary>Maximum encoded size of a member's metadata in bytes: 512.</summary>
    public const int MaxMetadataBytes = WireLimits.MetadataBytes;

    /// <summary>Name of this member, unique in the cluster: 1 to 64 printable ASCII characters without spaces. Required.</summary>
    public required string Name { get; init; }

    /// <summary>Name of the cluster; packets of other clusters are dropped. Default <c>skein</c>, not empty.</summary>
    public string Cluster { get; init; } = "skein";

    /// <summary>Address to listen on, UDP and TCP. Port 0 selects a free port. Default 127.0.0.1:7946.</summary>
    public IPEndPoint Bind { get; init; } = new(IPAddress.Loopback, DefaultPort);

    /// <summary>
    /// Address that others use to reach this member; port 0 means the bound port. Must be of the family of <see cref="Bind"/>. Default: the bound
    /// address, or for a wildcard the first address of this host.
    /// </summary>
    public IPEndPoint? Advertise { get; init; }

    /// <summary>
    /// Members to ask for the group, as <c>host:port</c>; the port defaults to 7946. A seed may be unreachable or this member itself. Seeds are
    /// asked again indefinitely. Default none: this member waits for others. At most 64.
    /// </summary>
    public IReadOnlyList<string> Seeds { get; init; } = [];

    /// <summary>Keys that seal and open packets. Default none.</summary>
    public GossipKeys Keys { get; init; } = GossipKeys.None;

    /// <summary>Allows to listen on other addresses than loopback without keys. Default false.</summary>
    public bool Insecure { get; init; }

    /// <summary>Role of the members that receive load beacons of this one (<c>gateway</c> for a replica). Default null: none.</summary>
    public string? BeaconsTo { get; init; }

    /// <summary>Timing and bounds. Default <see cref="ProtocolOptions.Lan"/>.</summary>
    public ProtocolOptions Protocol { get; init; } = ProtocolOptions.Lan;

    public static string AllowedNames => MemberName.Allowed;

    public static bool IsName(string name) => MemberName.IsValid(name);

    /// <summary>Whether the text is <c>host:port</c>, <c>[ipv6]:port</c> or <c>host</c>.</summary>
    public static bool IsSeed(string seed) => SeedAddress.TryParse(seed, out _);

    /// <exception cref="ArgumentException">Names the option, its value and the allowed values.</exception>
    public void Validate()
    {
        OptionGuard.Require(IsName(Name), nameof(Name), $"'{Name}'", AllowedNames);
        OptionGuard.Require(!string.IsNullOrWhiteSpace(Cluster), nameof(Cluster), $"'{Cluster}'", "a name that is not blank");
        OptionGuard.Require(Seeds.Count <= 64, $"the number of {nameof(Seeds)}", Seeds.Count, "up to 64");
        foreach (var seed in Seeds)
            OptionGuard.Require(IsSeed(seed), $"an entry of {nameof(Seeds)}", $"'{seed}'", "host:port, [ipv6]:port or host");
        var isProtected = IPAddress.IsLoopback(Bind.Address) || Insecure || !Keys.IsEmpty;
        OptionGuard.Require(isProtected, nameof(Bind), Bind, "a loopback address; others with a gossip key, or if insecure is set");
        var advertised = Advertise?.Address;
        var isWildcard = IPAddress.Any.Equals(advertised) || IPAddress.IPv6Any.Equals(advertised);
        OptionGuard.Require(!isWildcard, nameof(Advertise), Advertise, "an address that others can reach");
        OptionGuard.Require(
            advertised is null || GossipPort.Reaches(Bind.Address, advertised), nameof(Advertise), Advertise,
            $"an address of the family of {nameof(Bind)}, which is {Bind} ({Family(Bind)})");
        Protocol.Validate();
    }

    private static string Family(IPEndPoint endPoint) => GossipPort.Reaches(endPoint.Address, IPAddress.Loopback) ? "IPv4" : "IPv6";

    internal static byte[] Encode(Protocol.V1.MemberMetadata metadata)
    {
        var bytes = Google.Protobuf.MessageExtensions.ToByteArray(metadata);
        OptionGuard.Require(bytes.Length <= MaxMetadataBytes, "the encoded metadata", $"{bytes.Length} bytes", $"up to {MaxMetadataBytes} bytes");
        return bytes;
    }
}
