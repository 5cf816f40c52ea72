using System.Net;
using Microsoft.AspNetCore.Http;

namespace Skein.Gateway.Security;

/// <summary>
/// Whose names a gateway on loopback answers to. A web page may point a name of its own at 127.0.0.1 (DNS rebinding); to the browser this gateway
/// is then a part of that page, which may ask for anything and read the answers. Such a request tells the page's name as its host. Pure; thread-safe.
/// </summary>
internal sealed class HostGuard
{
    public const string Any = "*";

    private readonly HashSet<string> _allowed;
    private readonly bool _isOpen;

    /// <param name="listensOn">Where the gateway serves HTTP. Beyond loopback a name does not protect: everything is allowed.</param>
    /// <param name="allowed">Further names; <see cref="Any"/>: all.</param>
    public HostGuard(IPAddress listensOn, IReadOnlyList<string> allowed)
    {
        _allowed = new HashSet<string>(allowed, StringComparer.OrdinalIgnoreCase);
        _isOpen = !IPAddress.IsLoopback(listensOn) || _allowed.Contains(Any);
    }

    /// <summary>
    /// True for an address, a name without dots or under <c>localhost</c>, which nobody can register, and the further names. Without any host, too: no
    /// browser leaves it out.
    /// </summary>
    public bool Allows(HostString host)
    {
        if (_isOpen || !host.HasValue)
            return true;
        var name = host.Host.TrimEnd('.');
        return !name.Contains('.') || IPAddress.TryParse(name, out _) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) || _allowed.Contains(name);
    }
}
