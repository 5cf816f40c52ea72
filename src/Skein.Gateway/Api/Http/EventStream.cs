using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Http;

/// <summary>A response of server-sent events: its headers, its flushes, and the limit on a client that does not read. Used by one task.</summary>
internal sealed class EventStream(HttpContext http, TimeProvider time, TimeSpan writeTimeout) : IDisposable
{
    /// <summary>Bytes gathered before they are flushed even though more are there.</summary>
    private const int MostGathered = 16 << 10;

    /// <summary>
    /// A comment as long as what the server may hold of an HTTP/2 stream after a flush is done (4 KiB, and it lets go at 2 KiB): a reset
    /// drops that. Behind this padding nothing but padding can be lost.
    /// </summary>
    private static readonly byte[] ResetPadding = Encoding.ASCII.GetBytes($": {new string('.', 4096)}\n\n");

    private readonly Lock _writeLimit = new();
    private ITimer? _writeTimer;
    private bool _isLimited;
    private bool _clientIsStuck;

    /// <summary>Where events are written. Nothing may be written before <see cref="BeginAsync"/>.</summary>
    public PipeWriter Output { get; } = http.Response.BodyWriter;

    public bool HasBegun { get; private set; }

    public bool HasUnflushed => Output.UnflushedBytes > 0;

    public bool IsFull => Output.UnflushedBytes >= MostGathered;

    /// <summary>The client did not read for too long, and was cut off.</summary>
    public bool ClientIsStuck => _clientIsStuck;

    /// <summary>Commits status 200 and the headers.</summary>
    /// <param name="session">Told of in the headers; null where no replica has answered yet.</param>
    public Task BeginAsync(IGenerationSession? session)
    {
        HasBegun = true;
        var response = http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers["x-accel-buffering"] = "no"; // proxies that buffer would undo the streaming
        if (session is not null)
            SessionHeaders.Write(response.Headers, session);
        http.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        return response.StartAsync(http.RequestAborted);
    }

    /// <exception cref="OperationCanceledException">The client is gone, or was cut off.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask FlushAsync()
    {
        var flush = Output.FlushAsync(http.RequestAborted);
        if (flush.IsCompleted)
        {
            ThrowIfGone(await flush);
            return;
        }

        LimitWrite();
        try
        {
            ThrowIfGone(await flush);
        }
        finally
        {
            EndLimit();
        }
    }

    /// <summary>Flushes so that everything written is on its way also when the response fails right after.</summary>
    /// <exception cref="OperationCanceledException">The client is gone, or was cut off.</exception>
    public ValueTask FlushBeforeFailureAsync()
    {
        if (HttpProtocol.IsHttp2(http.Request.Protocol))
            Output.Write(ResetPadding);
        return FlushAsync();
    }

    public void Dispose() => _writeTimer?.Dispose();

    private void LimitWrite()
    {
        lock (_writeLimit)
            _isLimited = true;
        _writeTimer ??= time.CreateTimer(static state => ((EventStream)state!).CutOff(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _writeTimer.Change(writeTimeout, Timeout.InfiniteTimeSpan);
    }

    private void EndLimit()
    {
        _writeTimer!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        lock (_writeLimit)
            _isLimited = false;
    }

    private void CutOff()
    {
        // The lock keeps a late timer from aborting the connection's next request.
        lock (_writeLimit)
        {
            if (!_isLimited)
                return;
            _clientIsStuck = true;
            http.Abort();
        }
    }

    private void ThrowIfGone(FlushResult result)
    {
        // After an abort the server may report a flush as done until it gets round to cancelling the request.
        if (_clientIsStuck || result.IsCompleted || result.IsCanceled)
            throw new OperationCanceledException("the client is gone");
    }
}
