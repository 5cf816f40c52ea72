using Skein.Membership.Codec;
using Skein.Membership.Transport;

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

    /// <exception cref="MembershipException">Names the option, its value and the allowed values.</exception>
    public void Validate()
    {
        if (!MemberName.IsValid(Name))
            throw Check.Invalid($"{nameof(Name)} is '{Name}': allowed are {MemberName.Allowed}");
        if (string.IsNullOrWhiteSpace(Cluster))
            throw Check.Invalid($"{nameof(Cluster)} is empty: a name is required");
        if (Seeds.Count > 64)
            throw Check.Invalid($"{nameof(Seeds)} has {Seeds.Count} entries: allowed are up to 64");
        foreach (var seed in Seeds)
            if (!SeedAddress.TryParse(seed, out _))
                throw Check.Invalid($"{nameof(Seeds)} has '{seed}': allowed are host:port, [ipv6]:port or host");
        if (!IPAddress.IsLoopback(Bind.Address) && !Insecure && Keys.IsEmpty)
            throw Check.Invalid($"{nameof(Bind)} is {Bind}: without a gossip key only loopback is allowed, unless insecure is set");
        if (Advertise is { } advertise && (advertise.Address.Equals(IPAddress.Any) || advertise.Address.Equals(IPAddress.IPv6Any)))
            throw Check.Invalid($"{nameof(Advertise)} is {advertise}: an address that others can reach is required");
        if (Advertise is { } address && !GossipPort.Reaches(Bind.Address, address.Address))
            throw Check.Invalid($"{nameof(Advertise)} is {address}: an address of the family of {nameof(Bind)} is required, which is {Bind} ({Family(Bind)})");
        Protocol.Validate();
    }

    private static string Family(IPEndPoint endPoint) => GossipPort.Reaches(endPoint.Address, IPAddress.Loopback) ? "IPv4" : "IPv6";

    internal static byte[] Encode(Protocol.V1.MemberMetadata metadata)
    {
        var bytes = Google.Protobuf.MessageExtensions.ToByteArray(metadata);
        if (bytes.Length > WireLimits.MetadataBytes)
            throw Check.Invalid($"metadata takes {bytes.Length} bytes: allowed are up to {WireLimits.MetadataBytes}");
        return bytes;
    }
}
