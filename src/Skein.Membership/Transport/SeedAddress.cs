using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Skein.Membership.Transport;

/// <summary>A seed as configured: host name or address, and port.</summary>
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

    /// <summary>The addresses of the seed that a socket of this family can reach.</summary>
    /// <exception cref="SocketException">The name does not resolve.</exception>
    public async Task<IPAddress[]> ResolveAsync(AddressFamily family, CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(Host, out var literal))
            return [literal];
        var all = await Dns.GetHostAddressesAsync(Host, cancellationToken);
        return family == AddressFamily.InterNetworkV6 ? all : Array.FindAll(all, address => address.AddressFamily == family);
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
