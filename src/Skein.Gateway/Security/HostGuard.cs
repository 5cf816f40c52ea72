using System.Net;
using Microsoft.AspNetCore.Http;

namespace Skein.Gateway.Security;

/// <summary>
/// Protects a gateway on loopback from DNS rebinding: a web page can make its own domain name resolve to 127.0.0.1, and then requests have that name
/// as their host. ASP.NET's host filtering cannot allow any IP address and any name without dots. Thread-safe.
/// </summary>
/// <param name="listensOn">Address of the HTTP listener. If it is not loopback, every host is allowed: names do not protect there.</param>
/// <param name="allowed">Additional names; <see cref="Any"/> allows all.</param>
internal sealed class HostGuard(IPAddress listensOn, IReadOnlyList<string> allowed)
{
    public const string Any = "*";

    private readonly HashSet<string> _allowed = new(allowed, StringComparer.OrdinalIgnoreCase);
    private readonly bool _isOpen = !IPAddress.IsLoopback(listensOn) || allowed.Contains(Any);

    /// <summary>
    /// True for IP addresses, for names that nobody can register (without dots, or under <c>localhost</c>), and for the additional names. Also true
    /// without a host: browsers always send one.
    /// </summary>
    public bool Allows(HostString host)
    {
        if (_isOpen || !host.HasValue)
            return true;
        var name = host.Host.TrimEnd('.');
        return !name.Contains('.') || IPAddress.TryParse(name, out _)
            || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) || _allowed.Contains(name);
    }
}
