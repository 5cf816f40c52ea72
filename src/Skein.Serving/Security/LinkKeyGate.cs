using System.Globalization;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Skein.Serving.Security;

/// <summary>Refuses gRPC calls without the group's key. A caller cannot tell a missing key from a wrong one.</summary>
public static class LinkKeyGate
{
    /// <summary>Message of a refusal.</summary>
    public const string Refusal = "the link key is missing or wrong; allowed: a key of this member's --link-key-file";

    /// <summary>Lets a request pass if it carries a key, or else answers it.</summary>
    /// <param name="keys">Null refuses every request.</param>
    public static Task EnterAsync(HttpContext http, LinkKeys? keys, RequestDelegate next)
    {
        if (keys is not null && keys.Accepts(http.Request.Headers.Authorization))
            return next(http);
        // gRPC over HTTP/2: a response of headers only ("trailers-only").
        http.Response.ContentType = "application/grpc";
        http.Response.Headers["grpc-status"] = ((int)StatusCode.Unauthenticated).ToString(CultureInfo.InvariantCulture);
        http.Response.Headers["grpc-message"] = Uri.EscapeDataString(Refusal);
        return Task.CompletedTask;
    }
}
