using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Security;

/// <summary>
/// Gives the refusals of Kestrel itself a JSON body. It answers what it cannot read as HTTP/1.1 before any middleware runs, by a head with
/// <c>Content-Length: 0</c>, and has no hook for it. So a layer between it and the connection looks at each head that it writes.
/// </summary>
internal static class RefusalBodies
{
    /// <summary>The layer of one HTTP/1.1 listener. What follows it must be Kestrel's HTTP.</summary>
    public static ConnectionDelegate Before(ConnectionDelegate next) => async connection =>
    {
        var transport = connection.Transport;
        var output = new HeadWriter(transport.Output);
        connection.Features.Set(output);
        connection.Transport = new Pipes(transport.Input, output);
        try
        {
            await next(connection);
        }
        finally
        {
            connection.Transport = transport;
        }
    };

    /// <summary>
    /// From a connection's first request on, Kestrel says which heads are its refusals, so that no answer's body can be taken for one. Before it all are.
    /// </summary>
    public static Task EnterAsync(HttpContext http, RequestDelegate next)
    {
        if (http.Features.Get<HeadWriter>() is { } output)
            output.Request = http.Features;
        return next(http);
    }

    private sealed record Pipes(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}

/// <summary>Writes what it gets, and puts a body behind a refusal's head. Used as its inner writer is: by one thread at a time.</summary>
internal sealed class HeadWriter(PipeWriter inner) : PipeWriter
{
    // The memory that was handed out last.
    private Memory<byte> _memory;

    /// <summary>What Kestrel knows of the connection's current request; null before the first one.</summary>
    public IFeatureCollection? Request { private get; set; }

    public override bool CanGetUnflushedBytes => inner.CanGetUnflushedBytes;

    public override long UnflushedBytes => inner.UnflushedBytes;

    public override Memory<byte> GetMemory(int sizeHint = 0) => _memory = inner.GetMemory(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <summary>Kestrel writes such a head in one piece.</summary>
    public override void Advance(int bytes)
    {
        var written = _memory.Span[..Math.Min(bytes, _memory.Length)];
        if (written.StartsWith("HTTP/1.1 "u8) && RefusalAnswer.For(written) is { } answer && IsKestrels())
            inner.Write(answer);
        else
            inner.Advance(bytes);
        _memory = default;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
        inner.WriteAsync(source, cancellationToken);

    public override void CancelPendingFlush() => inner.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

    private bool IsKestrels() => Request is null || Request.Get<IBadRequestExceptionFeature>()?.Error is not null;
}

/// <summary>The answer to a request that Kestrel refuses.</summary>
internal static class RefusalAnswer
{
    private const int StatusStart = 9; // behind "HTTP/1.1 "
    private const int StatusLength = 3;

    /// <summary>A whole answer in place of a head; null if it is not that of a refusal without a body.</summary>
    public static byte[]? For(ReadOnlySpan<byte> head)
    {
        if (!head.EndsWith("\r\n\r\n"u8) || head.IndexOf("\r\nContent-Length: 0\r\n"u8) is not (>= 0 and var length)
            || head.IndexOf("\r\nConnection: close\r\n"u8) < 0
            || !int.TryParse(head.Slice(StatusStart, StatusLength), CultureInfo.InvariantCulture, out var status)
            || status < StatusCodes.Status400BadRequest)
        {
            return null;
        }
        var body = new ArrayBufferWriter<byte>(512);
        ErrorOf(status).WriteBody(body);
        var lines = Encoding.ASCII.GetBytes($"\r\nContent-Type: application/json\r\nContent-Length: {body.WrittenCount}\r\n");
        return [.. head[..length], .. lines, .. head[(length + "\r\nContent-Length: 0\r\n"u8.Length)..], .. body.WrittenSpan];
    }

    private static ApiError ErrorOf(int status) => status switch
    {
        StatusCodes.Status405MethodNotAllowed => ApiError.Of(status, "method_not_allowed", "the request line has a method that this address does not allow"),
        StatusCodes.Status408RequestTimeout => ApiError.Of(status, "request_timeout", "the head of the request did not arrive in time"),
        StatusCodes.Status414UriTooLong => ApiError.Of(
            status, "uri_too_long", $"the request line is too long; allowed: up to {RequestGuardMiddleware.MaxTargetBytes} bytes for the path and its query"),
        StatusCodes.Status431RequestHeaderFieldsTooLarge => ApiError.Of(
            status, "request_headers_too_large", "the headers are too large or too many; allowed: up to 100 headers, and together the bytes of --max-headers"),
        StatusCodes.Status505HttpVersionNotsupported => ApiError.Of(
            status, "http_version_not_supported", "the HTTP version of the request is not served here; allowed: HTTP/1.1 and HTTP/1.0"),
        _ => ApiError.Of(
            status, "bad_request",
            "the request is not valid HTTP/1.1; allowed: a request line, one host header, and header lines of a name and a value that end with CR LF"),
    };
}
