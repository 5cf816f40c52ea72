using Microsoft.AspNetCore.Http;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Security;

/// <summary>Refuses HTTP/1.1 requests before routing whose host is not this gateway's, or whose headers are too large.</summary>
internal sealed class RequestGuardMiddleware(GatewayOptions options)
{
    /// <summary>How much Kestrel's limit on headers is above <see cref="GatewayOptions.MaxRequestHeadersBytes"/>. It answers without a body.</summary>
    public const int ServerSlackBytes = 32 << 10;

    // ": " and the line end.
    private const int LineOverheadBytes = 4;

    private readonly HostGuard _hosts = new(options.Http.Address, options.AllowedHosts);

    public Task EnterAsync(HttpContext http, RequestDelegate next) =>
        HttpProtocol.IsHttp2(http.Request.Protocol) || Refusal(http.Request) is not { } refusal ? next(http) : refusal.SendAsync(http);

    private ApiError? Refusal(HttpRequest request)
    {
        if (!_hosts.Allows(request.Host))
        {
            return new ApiError(StatusCodes.Status403Forbidden, ClientError.InvalidRequestType, "host_not_allowed",
                $"host '{request.Host.Host}' is not allowed; allowed: an IP address, localhost, a name without dots, or what --allowed-hosts names");
        }
        var bytes = 0;
        foreach (var (name, values) in request.Headers)
        {
            for (var i = 0; i < values.Count; i++)
                bytes += name.Length + (values[i]?.Length ?? 0) + LineOverheadBytes;
        }
        return bytes <= options.MaxRequestHeadersBytes ? null : new ApiError(
            StatusCodes.Status431RequestHeaderFieldsTooLarge, ClientError.InvalidRequestType, "request_headers_too_large",
            $"the headers have {bytes} bytes; allowed: up to {options.MaxRequestHeadersBytes} bytes");
    }
}
