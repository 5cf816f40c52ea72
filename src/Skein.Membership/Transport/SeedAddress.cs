using System.Globalization;
using System.Net.Sockets;
using Skein.Membership.Codec;

namespace Skein.Membership.Transport;

/// <summary>A seed as configured: host name or IP address, and port.</summary>
internal sealed record SeedAddress(string Host, int Port)
{
    public static bool TryParse(string text, [NotNullWhen(true)] out SeedAddress? seed)
    {
        seed = null;
        (var host, var port) = Split(text);
        var valid = int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and <= 65535;
        if (valid && Uri.CheckHostName(host) != UriHostNameType.Unknown)
            seed = new SeedAddress(host, number);
        return seed is not null;
    }

    /// <exception cref="SocketException">The name does not resolve.</exception>
    public async Task<IEnumerable<PeerAddress>> ResolveAsync(CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(Host, out var literal) ? [literal] : await Dns.GetHostAddressesAsync(Host, cancellationToken);
        return addresses.Select(address => PeerAddress.From(new IPEndPoint(address, Port)));
    }

    private static (string Host, string Port) Split(string text)
    {
        var defaultPort = MembershipOptions.DefaultPort.ToString(CultureInfo.InvariantCulture);
        if (text.StartsWith('[') && text.IndexOf(']', StringComparison.Ordinal) is > 0 and var end)
            return (text[1..end], end == text.Length - 1 ? defaultPort : text[(end + 1)..].TrimStart(':'));
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var single = colon >= 0 && colon == text.LastIndexOf(':');
        return single ? (text[..colon], text[(colon + 1)..]) : (text, defaultPort);
    }
}
