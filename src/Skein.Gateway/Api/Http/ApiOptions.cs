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

    internal ApiOptions Checked()
    {
        CheckSize(nameof(MaxBodyBytes), MaxBodyBytes);
        if (MaxBodyMemoryBytes < MaxBodyBytes || MaxBodyMemoryBytes > 1L << 40)
        {
            throw new ArgumentException(
                $"{nameof(MaxBodyMemoryBytes)}: {MaxBodyMemoryBytes} is out of range; allowed: {MaxBodyBytes} to 1099511627776", nameof(MaxBodyMemoryBytes));
        }
        CheckTime(nameof(HeaderHold), HeaderHold);
        CheckTime(nameof(KeepAlive), KeepAlive);
        CheckTime(nameof(WriteTimeout), WriteTimeout);
        return this;
    }

    private static void CheckSize(string name, int value)
    {
        if (value is < 1024 or > 1 << 30)
            throw new ArgumentException($"{name}: {value} is out of range; allowed: 1024 to 1073741824", name);
    }

    private static void CheckTime(string name, TimeSpan value)
    {
        if (value < TimeSpan.FromMilliseconds(1) || value > TimeSpan.FromHours(1))
            throw new ArgumentException($"{name}: {value} is out of range; allowed: 1 ms to 1 h", name);
    }
}
