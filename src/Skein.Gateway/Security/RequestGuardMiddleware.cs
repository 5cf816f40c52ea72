using Microsoft.AspNetCore.Http;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Api.OpenAi.Answers;

namespace Skein.Gateway.Security;

/// <summary>
/// What is refused of a request of HTTP/1.1 before anybody looks at its path: a host that is not this gateway's, and headers past their bound, which the
/// server itself would refuse without a word.
/// </summary>
internal sealed class RequestGuardMiddleware(GatewayOptions options)
{
    /// <summary>
    /// What the server takes in beyond <see cref="GatewayOptions.MaxRequestHeadersBytes"/>, so that the refusal can say why. Past it there is only the
    /// status.
    /// </summary>
    public const int ServerSlackBytes = 32 << 10;

    // ": " and the line's end.
    private const int LineOverheadBytes = 4;

    private readonly HostGuard _hosts = new(options.Http.Address, options.AllowedHosts);

    public Task EnterAsync(HttpContext http, RequestDelegate next) =>
        HttpProtocol.IsHttp2(http.Request.Protocol) || Refusal(http.Request) is not { } refusal ? next(http) : refusal.SendAsync(http);

    private ApiError? Refusal(HttpRequest request)
    {
        if (!_hosts.Allows(request.Host))
        {
            return new ApiError(StatusCodes.Status403Forbidden, SessionErrors.InvalidRequestType, "host_not_allowed",
                $"host '{request.Host.Host}' is not allowed; allowed: an IP address, localhost, a name without dots, or what --allowed-hosts names");
        }
        var bytes = HeaderBytes(request.Headers);
        return bytes <= options.MaxRequestHeadersBytes ? null : new ApiError(
            StatusCodes.Status431RequestHeaderFieldsTooLarge, SessionErrors.InvalidRequestType, "request_headers_too_large",
            $"the headers have {bytes} bytes; allowed: up to {options.MaxRequestHeadersBytes} bytes");
    }

    private static int HeaderBytes(IHeaderDictionary headers)
    {
        var bytes = 0;
        foreach ((var name, var values) in headers)
        {
            for (var i = 0; i < values.Count; i++)
                bytes += name.Length + (values[i]?.Length ?? 0) + LineOverheadBytes;
        }
        return bytes;
    }
}
