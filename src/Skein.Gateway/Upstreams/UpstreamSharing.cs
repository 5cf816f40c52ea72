using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Google.Protobuf;
using Skein.Membership;

namespace Skein.Gateway.Upstreams;

/// <summary>
/// Finds out which gateways of the group serve the same server, so that they share its slots. Each gateway publishes a digest of the addresses of its
/// upstreams; addresses themselves do not leave the gateway.
/// </summary>
public static class UpstreamSharing
{
    /// <summary>Most digests that are published: gossip metadata is bounded. Further upstreams are not shared.</summary>
    public const int MostDigests = 32;

    /// <summary>Most turns that are published, for the same reason.</summary>
    private const int MostTurns = 16;

    private const int DigestBytes = 4;
    private const int TurnBytes = 2 * DigestBytes;

    /// <summary>The digests of some upstreams, for <see cref="MemberMetadata.Upstreams"/>.</summary>
    public static ByteString DigestsOf(IEnumerable<UpstreamOptions> upstreams) =>
        DigestsOf(upstreams.Select(upstream => upstream.Url).OfType<Uri>());

    internal static ByteString DigestsOf(IEnumerable<Uri> urls)
    {
        var digests = new byte[MostDigests * DigestBytes];
        var count = 0;
        foreach (var digest in urls.Select(DigestOf).Distinct().Order().Take(MostDigests))
            BinaryPrimitives.WriteUInt32BigEndian(digests.AsSpan(DigestBytes * count++), digest);
        return ByteString.CopyFrom(digests, 0, DigestBytes * count);
    }

    /// <summary>Whether two addresses are the same server, however they are written: with or without <c>/v1</c> or a slash at the end.</summary>
    public static bool IsSameServer(Uri first, Uri second) => AddressOf(first) == AddressOf(second);

    /// <summary>How many gateways serve a server, and the place of this one among them by name.</summary>
    /// <param name="members">Unchecked: metadata is input from outside.</param>
    internal static (int Count, int Rank) ShareOf(Uri url, IEnumerable<Member> members)
    {
        var digest = DigestOf(url);
        List<Member> sharing =
        [
            .. members.Where(member => member.IsLive && member.Role == Roles.Gateway && (member.IsSelf || Contains(member.Metadata.Upstreams.Span, digest)))
                .OrderBy(member => member.Name, StringComparer.Ordinal),
        ];
        var rank = sharing.FindIndex(member => member.IsSelf);
        return rank < 0 ? (1, 0) : (sharing.Count, rank);
    }

    /// <summary>Some turns for <see cref="MemberMetadata.UpstreamTurns"/>.</summary>
    internal static ByteString WriteTurns(IEnumerable<(Uri Url, uint Turn)> turns)
    {
        var bytes = new byte[MostTurns * TurnBytes];
        var length = 0;
        foreach (var (url, turn) in turns.Take(MostTurns))
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(length), DigestOf(url));
            BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(length + DigestBytes), turn);
            length += TurnBytes;
        }
        return ByteString.CopyFrom(bytes, 0, length);
    }

    /// <summary>The turns that other live gateways publish for a server.</summary>
    /// <param name="members">Unchecked: metadata is input from outside.</param>
    internal static IEnumerable<uint> TurnsOf(Uri url, IEnumerable<Member> members)
    {
        var digest = DigestOf(url);
        return members.Where(member => member is { IsLive: true, IsSelf: false, Role: Roles.Gateway })
            .Select(member => TurnOf(member.Metadata.UpstreamTurns.Span, digest)).OfType<uint>();
    }

    private static uint? TurnOf(ReadOnlySpan<byte> turns, uint digest)
    {
        for (var at = 0; at + TurnBytes <= Math.Min(turns.Length, MostTurns * TurnBytes); at += TurnBytes)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(turns[at..]) == digest)
                return BinaryPrimitives.ReadUInt32BigEndian(turns[(at + DigestBytes)..]);
        }
        return null;
    }

    private static bool Contains(ReadOnlySpan<byte> digests, uint digest)
    {
        for (var at = 0; at + DigestBytes <= Math.Min(digests.Length, MostDigests * DigestBytes); at += DigestBytes)
        {
            if (BinaryPrimitives.ReadUInt32BigEndian(digests[at..]) == digest)
                return true;
        }
        return false;
    }

    private static uint DigestOf(Uri url) => BinaryPrimitives.ReadUInt32BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(AddressOf(url))));

    // The same server with and without "/v1" at the end of its URL. Loopback is another one on every machine.
    private static string AddressOf(Uri url)
    {
        var path = url.AbsolutePath.TrimEnd('/');
        path = path.EndsWith("/v1", StringComparison.Ordinal) ? path[..^3] : path;
        var host = url.IsLoopback ? $"loopback@{Environment.MachineName}" : url.Host;
        return $"{url.Scheme}://{host}:{url.Port}{path.TrimEnd('/')}";
    }
}
