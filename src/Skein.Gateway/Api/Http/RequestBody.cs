using System.IO.Compression;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using ZstdSharp;
using ZstdSharp.Unsafe;
using MinDataRate = Microsoft.AspNetCore.Server.Kestrel.Core.MinDataRate;

namespace Skein.Gateway.Api.Http;

/// <summary>Reads bodies up to a size limit, with or without a declared length, compressed or not.</summary>
internal static class RequestBody
{
    public const string ContentTypeCode = "unsupported_media_type";

    /// <summary>Compressions that are read, for <c>Accept-Encoding</c> and error messages.</summary>
    public const string Encodings = "gzip, deflate, br, zstd";

    /// <summary>Memory allocated for a Content-Length alone. The rest is allocated as bytes arrive.</summary>
    private const int MaxInitialBytes = 64 << 10;

    private const int DefaultInitialBytes = 4 << 10;
    private const int MaxShownChars = 80;
    private const string RawDeflate = "deflate without the zlib header";

    /// <summary>Largest window of a zstd body, as a power of two: 8 MiB, what RFC 8878 recommends. A sender could ask for gigabytes.</summary>
    private const int MaxZstdWindowLog = 23;

    // Without it, .NET takes a body that was cut for a whole one. Read at the first use of a decompressing stream.
    static RequestBody() => AppContext.SetSwitch("System.IO.Compression.UseStrictValidation", isEnabled: true);

    /// <summary>The lowest transfer rate of a body that the server accepts, over HTTP/1.1 and HTTP/2.</summary>
    public static MinDataRate SlowestRate { get; } = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));

    /// <summary>
    /// The problem with the content type, and the header to send; null if the request declares a JSON body. Browsers let a web page send any other
    /// content type across origins without asking first; for JSON they send a preflight request, which the gateway grants to configured origins only.
    /// </summary>
    public static string? ContentTypeProblem(HttpRequest request)
    {
        if (request.HasJsonContentType())
            return null;
        var type = request.ContentType is { Length: > 0 } given ? given : "missing";
        return $"content-type: {Shorten(type)}; allowed: application/json (with curl: -H 'content-type: application/json')";
    }

    /// <summary>Whether a body without a declared type, or with the type that a bare <c>curl -d</c> declares, is read as JSON.</summary>
    public static bool IsPlainCurl(HttpRequest request) =>
        (request.ContentType is null || IsForm(request.ContentType)) && !IsFromPage(request);

    private static bool IsForm(string contentType) => MediaTypeHeaderValue.TryParse(contentType, out var type)
        && type.MediaType.Equals("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether the page of a web site sent it: a browser adds Origin, or Sec-Fetch-Site with another value than none.</summary>
    public static bool IsFromPage(HttpRequest request) =>
        request.Headers.Origin.Count > 0 || (request.Headers["Sec-Fetch-Site"] is { Count: > 0 } site && site != "none");

    /// <summary>Reads the whole body of a call that takes JSON.</summary>
    /// <exception cref="RequestRefusedException">415: not JSON; otherwise as <see cref="ReadAnyAsync"/>.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public static Task<ReadOnlyMemory<byte>> ReadAsync(
        HttpRequest request, int maxBytes, RequestMemoryBudget.Share share, CancellationToken cancellationToken)
    {
        Open(request);
        return !IsPlainCurl(request) && ContentTypeProblem(request) is { } problem
            ? throw new RequestRefusedException(StatusCodes.Status415UnsupportedMediaType, ContentTypeCode, null, problem)
            : ReadAnyAsync(request, maxBytes, share, cancellationToken);
    }

    /// <summary>
    /// Reads the whole body, whatever its type. Its memory, decompressed, is taken from <paramref name="share"/>, which throws if all bodies together exceed
    /// their limit.
    /// </summary>
    /// <exception cref="RequestRefusedException">415: an unknown compression; 413: too large; other 4xx: the transfer failed.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public static async Task<ReadOnlyMemory<byte>> ReadAnyAsync(
        HttpRequest request, int maxBytes, RequestMemoryBudget.Share share, CancellationToken cancellationToken)
    {
        Open(request);
        if (request.ContentLength > maxBytes)
            throw TooLarge(string.Create(CultureInfo.InvariantCulture, $"{request.ContentLength} bytes"), maxBytes);
        if (EncodingOf(request) is not { } encoding)
            return await ReadAsync(request.BodyReader, request.ContentLength, maxBytes, share, cancellationToken);

        if (encoding == "deflate" && !await HasZlibHeaderAsync(request.BodyReader, cancellationToken))
            encoding = RawDeflate;
        await using var plain = Decompress(encoding, request.Body);
        var reader = PipeReader.Create(plain);
        try
        {
            return await ReadAsync(reader, length: null, maxBytes, share, cancellationToken);
        }
        catch (Exception broken) when (broken is InvalidDataException or InvalidOperationException or EndOfStreamException or ZstdException)
        {
            throw new RequestRefusedException(
                StatusCodes.Status400BadRequest, "invalid_content_encoding", null, $"content-encoding: {encoding}: the body cannot be decompressed", broken);
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    // The server's own limit closes the connection at once: a client that is still sending never reads the error. Without it, the server
    // drains a refused body for some seconds after the error was sent.
    private static void Open(HttpRequest request)
    {
        if (request.HttpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } serverBound)
            serverBound.MaxRequestBodySize = null;
    }

    private static string? EncodingOf(HttpRequest request)
    {
        if (request.Headers.ContentEncoding is not { Count: > 0 } given)
            return null;
        var encoding = given.ToString().Trim().ToLowerInvariant();
        switch (encoding)
        {
            case "" or "identity":
                return null;
            case "gzip" or "x-gzip" or "deflate" or "br" or "zstd":
                return encoding;
            default:
                request.HttpContext.Response.Headers.AcceptEncoding = Encodings;
                throw new RequestRefusedException(StatusCodes.Status415UnsupportedMediaType, "unsupported_content_encoding", null,
                    $"content-encoding: {Shorten(encoding)}; allowed: one of {Encodings}, or none");
        }
    }

    /// <summary>RFC 9110 means the zlib format (RFC 1950) by deflate; some clients send the bare stream (RFC 1951), which begins otherwise.</summary>
    private static async ValueTask<bool> HasZlibHeaderAsync(PipeReader body, CancellationToken cancellationToken)
    {
        const int HeaderBytes = 2;
        while (true)
        {
            var read = await ReadSomeAsync(body, cancellationToken);
            if (read.Buffer.Length < HeaderBytes && !read.IsCompleted)
            {
                body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                continue;
            }
            var header = new byte[HeaderBytes];
            if (read.Buffer.Length >= HeaderBytes)
                read.Buffer.Slice(0, HeaderBytes).CopyTo(header);
            body.AdvanceTo(read.Buffer.Start);
            return (header[0] & 0x0F) == 8 && ((header[0] << 8) | header[1]) % 31 == 0;
        }
    }

    private static Stream Decompress(string encoding, Stream body)
    {
        switch (encoding)
        {
            case RawDeflate:
                return new DeflateStream(body, CompressionMode.Decompress);
            case "br":
                return new BrotliStream(body, CompressionMode.Decompress);
            case "deflate":
                return new ZLibStream(body, CompressionMode.Decompress);
            case "zstd":
                var zstd = new DecompressionStream(body);
                zstd.SetParameter(ZSTD_dParameter.ZSTD_d_windowLogMax, MaxZstdWindowLog);
                return zstd;
            default:
                return new GZipStream(body, CompressionMode.Decompress);
        }
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(
        PipeReader body, long? length, int maxBytes, RequestMemoryBudget.Share share, CancellationToken cancellationToken)
    {
        using var bytes = new BodyBuffer((int)Math.Min(length ?? DefaultInitialBytes, MaxInitialBytes), maxBytes, share);
        while (true)
        {
            var read = await ReadSomeAsync(body, cancellationToken);
            var arrived = read.Buffer;
            if (arrived.Length > maxBytes - bytes.Length)
            {
                body.AdvanceTo(arrived.End);
                throw TooLarge($"more than {maxBytes} bytes", maxBytes);
            }
            bytes.Append(arrived);
            body.AdvanceTo(arrived.End);
            if (read.IsCompleted)
                return bytes.ToMemory();
        }
    }

    private static async ValueTask<ReadResult> ReadSomeAsync(PipeReader body, CancellationToken cancellationToken)
    {
        try
        {
            return await body.ReadAsync(cancellationToken);
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
        catch (IOException e) when (e is not EndOfStreamException) // which ends a compressed body too early
        {
            throw new OperationCanceledException("the client is gone", e);
        }
    }

    private static string Shorten(string header) => header.Length > MaxShownChars ? header[..MaxShownChars] + "…" : header;

    private static RequestRefusedException TooLarge(string size, int maxBytes) =>
        new(StatusCodes.Status413PayloadTooLarge, "request_too_large", null, $"the body has {size}; allowed: up to {maxBytes} bytes");
}
