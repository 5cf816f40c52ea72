using Microsoft.AspNetCore.Http;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Requires requests to declare a JSON body. Browsers let a web page send any other content type across origins without asking first; for JSON they
/// send a preflight request, which the gateway does not grant.
/// </summary>
internal static class JsonContentType
{
    public const int Status = StatusCodes.Status415UnsupportedMediaType;
    public const string Code = "unsupported_media_type";

    private const int MaxShownChars = 80;

    /// <summary>What is wrong with the content type, and which header to send; null if nothing is.</summary>
    public static string? Problem(HttpRequest request)
    {
        if (request.HasJsonContentType())
            return null;
        var type = request.ContentType is { Length: > 0 } given ? given : "missing";
        return $"content-type: {Shorten(type)}; allowed: application/json (with curl: -H 'content-type: application/json')";
    }

    /// <summary>The part of a header's value that an error repeats.</summary>
    public static string Shorten(string header) => header.Length > MaxShownChars ? header[..MaxShownChars] + "…" : header;
}
