using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http.Features;

namespace Skein.Gateway.Api.Http;

/// <summary>A response of server-sent events: headers, flushes, and the timeout for a client that does not read. Not thread-safe.</summary>
internal sealed class EventStream(HttpContext http, TimeProvider time, TimeSpan writeTimeout)
{
    /// <summary>Unflushed bytes at which the stream is flushed although more events are ready.</summary>
    private const int MaxUnflushedBytes = 16 << 10;

    /// <summary>
    /// A comment as long as the data of an HTTP/2 stream that Kestrel may still buffer after a flush (4 KiB). A reset drops Kestrel's buffer.
    /// </summary>
    private static readonly byte[] ResetPadding = Encoding.ASCII.GetBytes($": {new string('.', 4096)}\n\n");

    /// <summary>Receives the events. Must not be used before <see cref="BeginAsync"/>.</summary>
    public PipeWriter Output { get; } = http.Response.BodyWriter;

    public bool HasBegun { get; private set; }

    public bool HasUnflushed => Output.UnflushedBytes > 0;

    public bool IsFull => Output.UnflushedBytes >= MaxUnflushedBytes;

    /// <summary>True after the connection was aborted because the client did not read.</summary>
    public bool ClientIsStuck { get; private set; }

    /// <summary>Sends status 200 and the headers, without those of the session if no replica has answered yet.</summary>
    public Task BeginAsync(IGenerationSession? session)
    {
        HasBegun = true;
        var response = http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers["x-accel-buffering"] = "no"; // keeps nginx from buffering the stream
        if (session is not null)
            SkeinHeaders.Write(session, response.Headers, static (headers, name, value) => headers[name] = value);
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        return response.StartAsync(http.RequestAborted);
    }

    /// <exception cref="OperationCanceledException">The client is gone, or did not read in time.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync()
    {
        var flush = Output.FlushAsync(http.RequestAborted);
        var result = flush.IsCompleted ? await flush : await WithinTimeoutAsync(flush.AsTask());
        // After an abort, flushes may succeed until the server has cancelled the request.
        if (ClientIsStuck || result.IsCompleted || result.IsCanceled)
            throw new OperationCanceledException("the client is gone");
    }

    /// <summary>Flushes so that everything written reaches the client even if the response fails right after.</summary>
    public ValueTask FlushBeforeFailureAsync()
    {
        if (HttpProtocol.IsHttp2(http.Request.Protocol))
            Output.Write(ResetPadding);
        return FlushAsync();
    }

    private async Task<FlushResult> WithinTimeoutAsync(Task<FlushResult> flush)
    {
        try
        {
            return await flush.WaitAsync(writeTimeout, time);
        }
        catch (TimeoutException)
        {
            ClientIsStuck = true;
            http.Abort();
            return await flush; // ends by the abort; the output must not be in use afterwards
        }
    }
}
