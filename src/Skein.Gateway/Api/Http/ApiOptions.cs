namespace Skein.Gateway.Api.Http;

/// <summary>Limits and timeouts of the client-facing APIs. Immutable.</summary>
public sealed record ApiOptions
{
    /// <summary>The rule of <see cref="IsPassThrough"/>, for error messages.</summary>
    public const string AllowedPassThrough = $"{EnginePaths.Allowed} and is not served by the gateway itself";

    private const int MostListed = 64;

    /// <summary>Also without the version in front, see <see cref="ApiPaths"/>.</summary>
    private static readonly HashSet<string> OwnPaths = new(StringComparer.OrdinalIgnoreCase)
    {
        "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/models",
        "/livez", "/readyz", "/health", "/ping", "/version", "/openapi.json",
    };

    private static readonly string[] OwnFolders = ["/v1/models/", "/models/", "/dashboard/"];

    /// <summary>Largest request body in bytes; above it HTTP 413, gRPC RESOURCE_EXHAUSTED. Default 32 MiB; 1 KiB to 1 GiB.</summary>
    public int MaxBodyBytes { get; init; } = 32 << 20;

    /// <summary>
    /// Memory in bytes of all request bodies (HTTP) and messages (gRPC) that are being read or whose requests run; above it HTTP 503 with
    /// Retry-After, gRPC UNAVAILABLE with RetryInfo. Default 1 GiB; <see cref="MaxBodyBytes"/> to 1 TiB.
    /// </summary>
    public long MaxBodyMemoryBytes { get; init; } = 1L << 30;

    /// <summary>
    /// How long an HTTP stream that has left the queue waits for its first token before it sends status 200 and continues with events without content. An
    /// error before that gets its own status. In the queue it waits for at most 55 s in all. Default 15 s; 1 ms to 1 h.
    /// </summary>
    public TimeSpan HeaderHold { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Time without output on an open HTTP stream after which an event without content is sent. Default 15 s; 1 ms to 1 h.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long one write to a client may take before its connection is aborted. Default 30 s; 1 ms to 1 h.</summary>
    public TimeSpan WriteTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Whether a request whose prompt and <c>max_tokens</c> exceed the context is asked again without <c>max_tokens</c>. Default false: the engine's refusal is
    /// passed on.
    /// </summary>
    public bool ClampMaxTokens { get; init; }

    /// <summary>
    /// Whether tool calls are streamed as the engine makes them. Default false: each comes whole, so that a lost one can be made again unseen. A request may
    /// ask for either.
    /// </summary>
    public bool StreamToolCalls { get; init; }

    /// <summary>
    /// Memory in bytes of the items of responses that are kept because clients refer to them in their next request; the oldest are dropped. Default 64 MiB; 0
    /// to 1 TiB, 0: none are kept.
    /// </summary>
    public long KeptItemBytes { get; init; } = 64 << 20;

    /// <summary>
    /// Paths of engines that are passed through by model beside <see cref="EnginePaths.Default"/>, for GET and POST. Default none; at most 64. Paths by which
    /// an engine is administered, and those that the gateway serves itself, are not allowed.
    /// </summary>
    public IReadOnlyList<string> PassThrough { get; init; } = [];

    /// <summary>
    /// Origins of web pages that may use the APIs, such as <c>https://chat.example</c>; <c>*</c>: all. Default none: browsers then keep pages of other origins
    /// away. At most 64.
    /// </summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>Whether a path may be in <see cref="PassThrough"/>.</summary>
    public static bool IsPassThrough(string path) => EnginePaths.IsAllowed(path) && !IsOwn(path);

    /// <summary>Whether an origin may be configured: a scheme and a host, with a port that is not the scheme's own; or <c>*</c>.</summary>
    public static bool IsOrigin(string origin) => origin == CrossOrigin.Any
        || (Uri.TryCreate(origin, UriKind.Absolute, out var uri)
            && uri is { Host.Length: > 0, AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" }
            && origin.Equals(uri.GetLeftPart(UriPartial.Authority), StringComparison.OrdinalIgnoreCase));

    internal ApiOptions Checked()
    {
        OptionGuard.Range(PassThrough.Count, 0, MostListed, nameof(PassThrough));
        OptionGuard.Range(CorsOrigins.Count, 0, MostListed, nameof(CorsOrigins));
        foreach (var path in PassThrough)
            OptionGuard.Require(IsPassThrough(path), nameof(PassThrough), path, AllowedPassThrough);
        foreach (var origin in CorsOrigins)
            OptionGuard.Require(IsOrigin(origin), nameof(CorsOrigins), origin, "an origin such as https://chat.example, without a path, or *");
        OptionGuard.Range(MaxBodyBytes, 1 << 10, 1 << 30, nameof(MaxBodyBytes));
        OptionGuard.Range(MaxBodyMemoryBytes, MaxBodyBytes, 1L << 40, nameof(MaxBodyMemoryBytes));
        OptionGuard.Range(KeptItemBytes, 0, 1L << 40, nameof(KeptItemBytes));
        CheckTime(HeaderHold, nameof(HeaderHold));
        CheckTime(KeepAlive, nameof(KeepAlive));
        CheckTime(WriteTimeout, nameof(WriteTimeout));
        return this;
    }

    // Paths are matched without regard to case.
    private static bool IsOwn(string path) =>
        OwnPaths.Contains(path) || OwnPaths.Contains($"/v1{path}")
        || Array.Exists(OwnFolders, folder => path.StartsWith(folder, StringComparison.OrdinalIgnoreCase));

    private static void CheckTime(TimeSpan value, string name) => OptionGuard.Range(value, TimeSpan.FromMilliseconds(1), TimeSpan.FromHours(1), name);
}
