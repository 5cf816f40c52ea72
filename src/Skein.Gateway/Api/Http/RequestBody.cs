using Microsoft.AspNetCore.Http.Features;
using MinDataRate = Microsoft.AspNetCore.Server.Kestrel.Core.MinDataRate;

namespace Skein.Gateway.Api.Http;

/// <summary>Reads JSON bodies up to a size limit, with or without a declared length.</summary>
internal static class RequestBody
{
    public const string ContentTypeCode = "unsupported_media_type";

    /// <summary>Memory allocated for a Content-Length alone. The rest is allocated as bytes arrive.</summary>
    private const int MaxInitialBytes = 64 << 10;

    private const int DefaultInitialBytes = 4 << 10;
    private const int MaxShownChars = 80;

    /// <summary>The lowest transfer rate of a body that the server accepts, over HTTP/1.1 and HTTP/2.</summary>
    public static MinDataRate SlowestRate { get; } = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));

    /// <summary>
    /// The problem with the content type, and the header to send; null if the request declares a JSON body. Browsers let a web page send any other
    /// content type across origins without asking first; for JSON they send a preflight request, which the gateway does not grant.
    /// </summary>
    public static string? ContentTypeProblem(HttpRequest request)
    {
        if (request.HasJsonContentType())
            return null;
        var type = request.ContentType is { Length: > 0 } given ? given : "missing";
        return $"content-type: {Shorten(type)}; allowed: application/json (with curl: -H 'content-type: application/json')";
    }

    // A bare `curl -d` declares a form. A browser cannot send one here unnoticed: it adds Origin, or Sec-Fetch-Site with another value.
    private static bool IsPlainCurl(HttpRequest request) =>
        request.ContentType is null or "application/x-www-form-urlencoded"
        && request.Headers.Origin.Count == 0
        && (request.Headers["Sec-Fetch-Site"] is not { Count: > 0 } site || site == "none");

    /// <summary>Reads the whole body. Its memory is taken from <paramref name="share"/>, which throws if all bodies together exceed their limit.</summary>
    /// <exception cref="RequestRefusedException">415: not JSON, or compressed; 413: too large; other 4xx: the transfer failed.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAsync(
        HttpRequest request, int maxBytes, RequestMemoryBudget.Share share, CancellationToken cancellationToken)
    {
        // The server's own limit closes the connection at once: a client that is still sending never reads the error. Without it, the server
        // drains a refused body for some seconds after this method's error was sent.
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } serverBound)
            serverBound.MaxRequestBodySize = null;
        if (!IsPlainCurl(request) && ContentTypeProblem(request) is { } problem)
            throw new RequestRefusedException(StatusCodes.Status415UnsupportedMediaType, ContentTypeCode, null, problem);
        if (request.Headers.ContentEncoding is { Count: > 0 } encoding && !"identity".Equals(encoding, StringComparison.OrdinalIgnoreCase))
        {
            throw new RequestRefusedException(StatusCodes.Status415UnsupportedMediaType, "unsupported_content_encoding", null,
                $"content-encoding: {Shorten(encoding.ToString())}; allowed: none: bodies are not compressed");
        }
        if (request.ContentLength > maxBytes)
            throw TooLarge(string.Create(CultureInfo.InvariantCulture, $"{request.ContentLength} bytes"), maxBytes);

        var first = (int)Math.Min(request.ContentLength ?? DefaultInitialBytes, MaxInitialBytes);
        share.GrowTo(first);
        var bytes = new byte[first];
        var used = 0;
        while (true)
        {
            var read = await ReadSomeAsync(request, cancellationToken);
            var arrived = read.Buffer;
            if (arrived.Length > maxBytes - used)
            {
                request.BodyReader.AdvanceTo(arrived.End);
                throw TooLarge($"more than {maxBytes} bytes", maxBytes);
            }

            var needed = used + (int)arrived.Length;
            if (needed > bytes.Length)
            {
                var grown = (int)Math.Min(Math.Max(needed, 2L * bytes.Length), maxBytes);
                share.GrowTo(grown);
                Array.Resize(ref bytes, grown);
            }
            arrived.CopyTo(bytes.AsSpan(used));
            used = needed;
            request.BodyReader.AdvanceTo(arrived.End);
            if (read.IsCompleted)
                return bytes.AsMemory(0, used);
        }
    }

    private static async ValueTask<System.IO.Pipelines.ReadResult> ReadSomeAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await request.BodyReader.ReadAsync(cancellationToken);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status408RequestTimeout)
        {
            throw new RequestRefusedException(e.StatusCode, "request_timeout", null,
                $"the body came too slowly; allowed: at least {SlowestRate.BytesPerSecond} bytes a second, after the first "
                + $"{SlowestRate.GracePeriod.TotalSeconds} s", e);
        }
        catch (BadHttpRequestException e)
        {
            throw new RequestRefusedException(e.StatusCode, "bad_request", null, e.Message, e);
        }
        catch (IOException e)
        {
            throw new OperationCanceledException("the client is gone", e);
        }
    }

    private static string Shorten(string header) => header.Length > MaxShownChars ? header[..MaxShownChars] + "…" : header;

    private static RequestRefusedException TooLarge(string size, int maxBytes) =>
        new(StatusCodes.Status413PayloadTooLarge, "request_too_large", null, $"the body has {size}; allowed: up to {maxBytes} bytes");
}
