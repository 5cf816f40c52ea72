using System.Net;
using Microsoft.AspNetCore.Http.Features;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Security;

/// <summary>Refuses HTTP/1.1 requests whose host is not this gateway's, or whose address or headers are too large.</summary>
internal sealed class RequestGuardMiddleware(GatewayOptions options)
{
    /// <summary>Longest path with its query, in bytes.</summary>
    public const int MaxTargetBytes = 8 << 10;

    /// <summary>
    /// How much Kestrel's limits are above <see cref="MaxTargetBytes"/> and <see cref="GatewayOptions.MaxRequestHeadersBytes"/>: its answers say less.
    /// </summary>
    public const int ServerSlackBytes = 32 << 10;

    private const string TwoLengths = "ambiguous_length";
    private const string DiscardedLength = "X-Content-Length";

    // ": " and the line end.
    private const int LineOverheadBytes = 4;

    private readonly HostGuard _hosts = new(options.Http.Address, options.AllowedHosts);

    public Task EnterAsync(HttpContext http, RequestDelegate next)
    {
        if (HttpProtocol.IsHttp2(http.Request.Protocol) || Refusal(http.Request) is not { } refusal)
            return next(http);
        // What follows on the connection may be part of this request for a proxy in front.
        if (refusal.Code == TwoLengths)
            http.Response.Headers.Connection = "close";
        KeyMiddleware.Identify(http);
        return refusal.SendAsync(http, Dialects.Of(http.Request.Path));
    }

    /// <summary>
    /// A proxy that reads the other length would take the rest of the body for the next client's request (request smuggling). The server moves a content length
    /// beside a transfer encoding to a header of its own.
    /// </summary>
    private static bool HasTwoLengths(IHeaderDictionary headers) =>
        headers.TransferEncoding is { Count: > 0 } coding
        && (headers.ContainsKey(DiscardedLength) || !string.Equals(coding.ToString(), "chunked", StringComparison.OrdinalIgnoreCase));

    private ApiError? Refusal(HttpRequest request)
    {
        if (!_hosts.Allows(request.Host))
        {
            return ApiError.Of(StatusCodes.Status403Forbidden, "host_not_allowed",
                $"host '{request.Host.Host}' is not allowed; allowed: an IP address, localhost, a name without dots, or what --allowed-hosts names");
        }
        if (HasTwoLengths(request.Headers))
        {
            return ApiError.Of(StatusCodes.Status400BadRequest, TwoLengths,
                "the length of the body is not clear; allowed: content-length, or 'transfer-encoding: chunked', and not both");
        }
        var target = request.HttpContext.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget.Length;
        if (target > MaxTargetBytes)
        {
            return ApiError.Of(
                StatusCodes.Status414UriTooLong, "uri_too_long", $"the path and its query have {target} bytes; allowed: up to {MaxTargetBytes} bytes");
        }
        var bytes = 0;
        foreach (var (name, values) in request.Headers)
        {
            for (var i = 0; i < values.Count; i++)
                bytes += name.Length + (values[i]?.Length ?? 0) + LineOverheadBytes;
        }
        return bytes <= options.MaxRequestHeadersBytes ? null : ApiError.Of(
            StatusCodes.Status431RequestHeaderFieldsTooLarge, "request_headers_too_large",
            $"the headers have {bytes} bytes; allowed: up to {options.MaxRequestHeadersBytes} bytes");
    }
}

/// <summary>
/// Protects a gateway on loopback from DNS rebinding: a web page can make its own domain name resolve to 127.0.0.1, and then requests have that name
/// as their host. ASP.NET's host filtering cannot allow any IP address and any name without dots. Thread-safe.
/// </summary>
/// <param name="listensOn">Address of the HTTP listener. If it is not loopback, every host is allowed: names do not protect there.</param>
internal sealed class HostGuard(IPAddress listensOn, IReadOnlyList<string> allowed)
{
    /// <summary>Allows every host.</summary>
    public const string Any = "*";

    private readonly HashSet<string> _allowed = new(allowed, StringComparer.OrdinalIgnoreCase);
    private readonly bool _isOpen = !IPAddress.IsLoopback(listensOn) || allowed.Contains(Any);

    /// <summary>True for IP addresses, names that nobody can register, the additional names, and without a host: browsers always send one.</summary>
    public bool Allows(HostString host)
    {
        if (_isOpen || !host.HasValue)
            return true;
        var name = host.Host.TrimEnd('.');
        return !name.Contains('.') || IPAddress.TryParse(name, out _)
            || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase) || _allowed.Contains(name);
    }
}
