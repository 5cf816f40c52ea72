using Microsoft.AspNetCore.Http;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Whether a request says that its body is JSON. A web page can send any other type here, or none, without asking this gateway first; for JSON its
/// browser asks, and gets no consent.
/// </summary>
internal static class JsonContentType
{
    public const int Status = StatusCodes.Status415UnsupportedMediaType;
    public const string Code = "unsupported_media_type";

    private const int MostShown = 80;

    /// <summary>What is wrong with the content type, and which header to send; null: nothing.</summary>
    public static string? Problem(HttpRequest request)
    {
        if (request.HasJsonContentType())
            return null;
        var type = request.ContentType is { Length: > 0 } given ? given : "missing";
        return $"content-type: {Shown(type)}; allowed: application/json (with curl: -H 'content-type: application/json')";
    }

    /// <summary>As much of a header as an answer repeats.</summary>
    public static string Shown(string header) => header.Length > MostShown ? header[..MostShown] + "…" : header;
}
