using System.Net;
using Skein.Membership.Core;
using Skein.Membership.Transport;
using Skein.Membership.Codec;

namespace Skein.Membership;

/// <summary>How one member takes part in a cluster. Immutable.</summary>
public sealed record MembershipOptions
{
    /// <summary>Port of gossip, UDP and TCP, where none is named: 7946.</summary>
    public const int DefaultPort = 7946;

    /// <summary>Most bytes of what a member tells about itself: 512.</summary>
    public const int MaxMetadataBytes = WireLimits.MetadataBytes;

    /// <summary>Name of this member, unique in the cluster: 1 to 64 printable ASCII characters without spaces. Required.</summary>
    public required string Name { get; init; }

    /// <summary>Name of the cluster; packets of other clusters are dropped. Default <c>skein</c>, not empty.</summary>
    public string Cluster { get; init; } = "skein";

    /// <summary>Where to listen, UDP and TCP. Port 0 takes a free one. Default 127.0.0.1:7946.</summary>
    public IPEndPoint Bind { get; init; } = new(IPAddress.Loopback, DefaultPort);

    /// <summary>Where others reach this member; port 0 means the bound one. Default: the bound address, or the first of this host.</summary>
    public IPEndPoint? Advertise { get; init; }

    /// <summary>
    /// Members to ask for the others, as <c>host:port</c> (port 7946 where absent). Any may be unreachable or this member itself; they are
    /// asked again for ever. Default none: this member waits to be found. At most 64.
    /// </summary>
    public IReadOnlyList<string> Seeds { get; init; } = [];

    /// <summary>Keys that seal and open packets. Default none.</summary>
    public GossipKeys Keys { get; init; } = GossipKeys.None;

    /// <summary>Listen on other addresses than loopback although packets are neither authenticated nor encrypted. Default false.</summary>
    public bool Insecure { get; init; }

    /// <summary>
    /// Role of the members that get this one's load straight from it, ten times a second (a replica says <c>gateway</c>). Default null: none.
    /// </summary>
    public string? BeaconsTo { get; init; }

    /// <summary>Timing and bounds. Default <see cref="ProtocolOptions.Lan"/>.</summary>
    public ProtocolOptions Protocol { get; init; } = ProtocolOptions.Lan;

    /// <summary>What a name may be, in words.</summary>
    public static string AllowedNames => MemberName.Allowed;

    /// <summary>True when a member may be called so.</summary>
    public static bool IsName(string name) => MemberName.IsValid(name);

    /// <summary>True when it is <c>host:port</c>, <c>[ipv6]:port</c> or <c>host</c>.</summary>
    public static bool IsSeed(string seed) => SeedAddress.TryParse(seed, out _);

    /// <summary>Checks every value.</summary>
    /// <exception cref="MembershipException">Names the option, its value and what is allowed.</exception>
    public void Validate()
    {
        if (!MemberName.IsValid(Name))
            throw Check.Refused($"{nameof(Name)} is '{Name}': allowed are {MemberName.Allowed}");
        if (string.IsNullOrWhiteSpace(Cluster))
            throw Check.Refused($"{nameof(Cluster)} is empty: a name is required");
        if (Seeds.Count > 64)
            throw Check.Refused($"{nameof(Seeds)} has {Seeds.Count} entries: allowed are up to 64");
        foreach (var seed in Seeds)
            if (!SeedAddress.TryParse(seed, out _))
                throw Check.Refused($"{nameof(Seeds)} has '{seed}': allowed are host:port, [ipv6]:port or host");
        if (!IPAddress.IsLoopback(Bind.Address) && !Insecure && Keys.IsEmpty)
            throw Check.Refused($"{nameof(Bind)} is {Bind}: without a gossip key only loopback is allowed, unless insecure is set");
        if (Advertise is { } advertise && (advertise.Address.Equals(IPAddress.Any) || advertise.Address.Equals(IPAddress.IPv6Any)))
            throw Check.Refused($"{nameof(Advertise)} is {advertise}: an address that others can reach is required");
        Protocol.Validate();
    }

    internal static byte[] Encode(Protocol.V1.MemberMetadata metadata)
    {
        var bytes = Google.Protobuf.MessageExtensions.ToByteArray(metadata);
        if (bytes.Length > WireLimits.MetadataBytes)
            throw Check.Refused($"metadata takes {bytes.Length} bytes: allowed are up to {WireLimits.MetadataBytes}");
        return bytes;
    }
}
