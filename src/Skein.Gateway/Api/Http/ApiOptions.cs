namespace Skein.Gateway.Api.Http;

/// <summary>Limits and timeouts of the client-facing APIs. Immutable.</summary>
public sealed record ApiOptions
{
    /// <summary>Largest request body in bytes; above it HTTP 413, gRPC RESOURCE_EXHAUSTED. Default 32 MiB; 1 KiB to 1 GiB.</summary>
    public int MaxBodyBytes { get; init; } = 32 << 20;

    /// <summary>
    /// Memory in bytes of all request bodies (HTTP) and messages (gRPC) that are being read or whose requests run; above it HTTP 503 with
    /// Retry-After, gRPC UNAVAILABLE with RetryInfo. Default 1 GiB; <see cref="MaxBodyBytes"/> to 1 TiB.
    /// </summary>
    public long MaxBodyMemoryBytes { get; init; } = 1L << 30;

    /// <summary>
    /// How long an HTTP stream waits for its first token before it sends status 200 and continues with comments. An error before that gets its
    /// own status. Default 15 s; 1 ms to 1 h.
    /// </summary>
    public TimeSpan HeaderHold { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Time without output on an open HTTP stream after which a comment is sent. Default 15 s; 1 ms to 1 h.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long one write to a client may take before its connection is aborted. Default 30 s; 1 ms to 1 h.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Whether a request whose prompt and <c>max_tokens</c> exceed the context is asked again without <c>max_tokens</c>. Default false: the engine's refusal is
    /// passed on.
    /// </summary>
    public bool ClampMaxTokens { get; init; }

    /// <summary>
    /// Memory in bytes of the items of responses that are kept because clients refer to them in their next request; the oldest are dropped. Default 64 MiB; 0
    /// to 1 TiB, 0: none are kept.
    /// </summary>
    public long KeptItemBytes { get; init; } = 64 << 20;

    internal ApiOptions Checked()
    {
        OptionGuard.Range(MaxBodyBytes, 1 << 10, 1 << 30, nameof(MaxBodyBytes));
        OptionGuard.Range(MaxBodyMemoryBytes, MaxBodyBytes, 1L << 40, nameof(MaxBodyMemoryBytes));
        OptionGuard.Range(KeptItemBytes, 0, 1L << 40, nameof(KeptItemBytes));
        CheckTime(HeaderHold, nameof(HeaderHold));
        CheckTime(KeepAlive, nameof(KeepAlive));
        CheckTime(WriteTimeout, nameof(WriteTimeout));
        return this;
    }

    private static void CheckTime(TimeSpan value, string name) => OptionGuard.Range(value, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), name);
}
