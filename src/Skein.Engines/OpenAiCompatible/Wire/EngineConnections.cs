using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography.X509Certificates;

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

    /// <param name="trustedRoots">Authorities of the server's certificate; null: those of the system.</param>
    public EngineConnections(TimeSpan connectTimeout, X509Certificate2Collection? trustedRoots = null)
    {
        _pooled = new HttpMessageInvoker(CreateHandler(connectTimeout, Lifetime, trustedRoots));
        _unpooled = new HttpMessageInvoker(CreateHandler(connectTimeout, TimeSpan.Zero, trustedRoots));
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
        catch (Exception exception) when (exception is SocketException or HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError })
        {
            // The server may have begun the request: the caller must see a lost connection, not an unreachable server.
            ExceptionDispatchInfo.Throw(first);
            throw;
        }
    }

    private static SocketsHttpHandler CreateHandler(TimeSpan connectTimeout, TimeSpan lifetime, X509Certificate2Collection? trustedRoots) => new()
    {
        ConnectTimeout = connectTimeout,
        AllowAutoRedirect = false,
        UseCookies = false,
        // The headers of a request name its own trace. What is current in this process may be another request's.
        ActivityHeadersPropagator = null,
        SslOptions = { CertificateChainPolicy = trustedRoots is null ? null : PolicyOf(trustedRoots) },
        PooledConnectionIdleTimeout = IdleTimeout,
        PooledConnectionLifetime = lifetime,
        // A stream that is left early closes its connection at once instead of being read to its end: this stops the engine.
        MaxResponseDrainSize = 0,
        PlaintextStreamFilter = static (context, _) => ValueTask.FromResult<Stream>(new ConnectionStream(context.PlaintextStream)),
    };

    private static X509ChainPolicy PolicyOf(X509Certificate2Collection trustedRoots)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.AddRange(trustedRoots);
        return policy;
    }

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

        // A read on an idle connection begins before the exchange whose answer ends it, so the exchange is looked up after the read.
        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken stop = default)
        {
            var read = await _inner.ReadAsync(buffer, stop);
            if (read > 0 && _exchange is { HasAnswer: false } exchange)
                exchange.HasAnswer = true;

            return read;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Current.Value is { } exchange && exchange != _exchange)
            {
                exchange.IsOnReused = _exchange is not null;
                _exchange = exchange;
            }

            return _inner.WriteAsync(buffer, cancellationToken);
        }
    }
}
