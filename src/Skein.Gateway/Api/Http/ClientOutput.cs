using System.IO.Pipelines;
using System.Runtime.CompilerServices;

namespace Skein.Gateway.Api.Http;

/// <summary>The body of a response that is sent as it is made, and the timeout for a client that does not read. Not thread-safe.</summary>
internal class ClientOutput(HttpContext http, TimeProvider time, TimeSpan writeTimeout)
{
    /// <summary>Unflushed bytes at which the output is flushed although more is ready.</summary>
    private const int MaxUnflushedBytes = 16 << 10;

    /// <summary>Receives the body. Must not be used before the headers are set.</summary>
    public PipeWriter Output { get; } = http.Response.BodyWriter;

    public bool HasUnflushed => Output.UnflushedBytes > 0;

    public bool IsFull => Output.UnflushedBytes >= MaxUnflushedBytes;

    /// <summary>True after the connection was aborted because the client did not read.</summary>
    public bool ClientIsStuck { get; private set; }

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
