using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>
/// The connections to one server: kept alive and reused. A request that fails on a reused connection before any byte of the answer is sent once more, on a
/// new connection: servers close idle connections unannounced. A connection that breaks later may be the death of the server under this request, which is
/// reported. Thread-safe.
/// </summary>
/// <remarks>
/// <see cref="SocketsHttpHandler"/> itself sends again only requests without a body. It does not report on which connection a request ran, so the
/// streams beneath it record it.
/// </remarks>
internal sealed class EngineConnections : HttpMessageHandler
{
    // Below the idle limits of the known servers: 5 s of llama.cpp and uvicorn (vLLM, SGLang) are the shortest.
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(4);

    // A write to a connection that was closed fails within a round trip.
    private static readonly TimeSpan StaleTimeout = TimeSpan.FromSeconds(1);

    // Bounds how long a changed DNS record goes unnoticed.
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(5);

    private static readonly AsyncLocal<Exchange?> Current = new();

    private readonly HttpMessageInvoker _pooled;
    private readonly HttpMessageInvoker _unpooled;

    public EngineConnections(TimeSpan connectTimeout)
    {
        _pooled = new HttpMessageInvoker(CreateHandler(connectTimeout, Lifetime));
        _unpooled = new HttpMessageInvoker(CreateHandler(connectTimeout, TimeSpan.Zero));
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var exchange = new Exchange();
        Current.Value = exchange;
        try
        {
            return await _pooled.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException exception) when (
            exchange is { IsOnReused: true, HasAnswer: false, IsFresh: true } && !cancellationToken.IsCancellationRequested)
        {
            return await SendAgainAsync(request, exception, cancellationToken);
        }
    }

    protected override void Dispose(bool disposing)
    {
        _pooled.Dispose();
        _unpooled.Dispose();
        base.Dispose(disposing);
    }

    private async Task<HttpResponseMessage> SendAgainAsync(HttpRequestMessage request, HttpRequestException first, CancellationToken cancellationToken)
    {
        try
        {
            return await _unpooled.SendAsync(request, cancellationToken);
        }
        catch (HttpRequestException exception) when (exception.HttpRequestError == HttpRequestError.ConnectionError)
        {
            // The server may have begun the request: the caller must see a lost connection, not an unreachable server.
            ExceptionDispatchInfo.Throw(first);
            throw;
        }
    }

    private static SocketsHttpHandler CreateHandler(TimeSpan connectTimeout, TimeSpan lifetime) => new()
    {
        ConnectTimeout = connectTimeout,
        AllowAutoRedirect = false,
        UseCookies = false,
        PooledConnectionIdleTimeout = IdleTimeout,
        PooledConnectionLifetime = lifetime,
        // A stream that is left early closes its connection at once instead of being read to its end: this stops the engine.
        MaxResponseDrainSize = 0,
        PlaintextStreamFilter = static (context, _) => ValueTask.FromResult<Stream>(new ConnectionStream(context.PlaintextStream)),
    };

    private sealed class Exchange
    {
        public bool IsOnReused { get; set; }

        public bool HasAnswer { get; set; }

        public long StartedAt { get; init; } = Stopwatch.GetTimestamp();

        public bool IsFresh => Stopwatch.GetElapsedTime(StartedAt) < StaleTimeout;
    }

    /// <summary>Records which exchange runs on a connection, and whether its answer has begun.</summary>
    private sealed class ConnectionStream(Stream inner) : AsyncStream(inner)
    {
        private readonly Stream _inner = inner;
        private Exchange? _exchange;

        // An empty read waits for data on an idle connection. It can begin before the next exchange, so it is not a read of an answer.
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken stop = default) =>
            buffer.IsEmpty || _exchange is null or { HasAnswer: true } ? _inner.ReadAsync(buffer, stop) : ReadFirstAsync(buffer, stop);

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Current.Value is { } exchange && exchange != _exchange)
            {
                exchange.IsOnReused = _exchange is not null;
                _exchange = exchange;
            }

            return _inner.WriteAsync(buffer, cancellationToken);
        }

        private async ValueTask<int> ReadFirstAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var read = await _inner.ReadAsync(buffer, cancellationToken);
            if (read > 0 && _exchange is { } exchange)
                exchange.HasAnswer = true;

            return read;
        }
    }
}
