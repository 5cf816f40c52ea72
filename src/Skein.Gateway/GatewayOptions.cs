using System.Net;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Group;
using Skein.Gateway.Links;
using Skein.Gateway.Telemetry;
using Skein.Routing.Balancing;
using Skein.Routing.Health;
using Skein.Serving.Security;

namespace Skein.Gateway;

/// <summary>Settings of a gateway. Immutable; checked when the gateway is built.</summary>
public sealed record GatewayOptions
{
    /// <summary>Where HTTP/1.1 is served. Port 0 takes a free one. Default 127.0.0.1:8080.</summary>
    public IPEndPoint Http { get; init; } = new(IPAddress.Loopback, 8080);

    /// <summary>Where gRPC is served. Port 0 takes a free one. Default 127.0.0.1:8081.</summary>
    public IPEndPoint Grpc { get; init; } = new(IPAddress.Loopback, 8081);

    /// <summary>Number of live replicas from which <c>/readyz</c> reports ready. Default 1, at least 0.</summary>
    public int ExpectedReplicas { get; init; } = 1;

    /// <summary>The client-facing APIs.</summary>
    public ApiOptions Api { get; init; } = new();

    /// <summary>
    /// Balancing policies beside the built-in ones; <see cref="AdmissionOptions.Policy"/> names the one that is used. Policies that are registered
    /// in the host's services as <see cref="IBalancingPolicy"/> count too. Default none.
    /// </summary>
    public IReadOnlyList<IBalancingPolicy> Policies { get; init; } = [];

    /// <summary>Further names of models, under which clients see them. Names are unique. Default none; at most 256.</summary>
    public IReadOnlyList<ModelAlias> Aliases { get; init; } = [];

    /// <summary>The queue.</summary>
    public AdmissionOptions Admission { get; init; } = new();

    /// <summary>Circuit breaker and slow start of replicas.</summary>
    public HealthOptions Health { get; init; } = new();

    /// <summary>Sessions.</summary>
    public StreamingOptions Streaming { get; init; } = new();

    /// <summary>Connections to replicas.</summary>
    public LinkOptions Link { get; init; } = new();

    /// <summary>Largest headers of a request, all together, in bytes; past it HTTP 431. Default 32 KiB.</summary>
    public int MaxRequestHeadersBytes { get; init; } = 32 << 10;

    /// <summary>Where metrics, traces and logs go.</summary>
    public TelemetryOptions Telemetry { get; init; } = new();

    /// <summary>
    /// Names by which clients may call this gateway while it serves HTTP on loopback, beside addresses, <c>localhost</c> and names without dots;
    /// <c>*</c>: any. Other names get 403: a web page can make its own name resolve to this gateway. Default none.
    /// </summary>
    public IReadOnlyList<string> AllowedHosts { get; init; } = [];

    /// <summary>
    /// Certificate of HTTP and gRPC; called for each connection, so that it can be replaced at run time. Null: neither is encrypted. Default null.
    /// </summary>
    public Func<TlsIdentity>? Tls { get; init; }

    /// <summary>
    /// Most open connections of clients, HTTP and gRPC together; further ones are closed at once. Default 10,000, at least 1. Keep it below the limit of
    /// open files: each running request may need another one to a replica.
    /// </summary>
    public int MaxConnections { get; init; } = 10_000;

    /// <summary>
    /// After the begin of a stop, how long the gateway goes on accepting requests while <c>/readyz</c> reports 503, so that load balancers notice. Default 0.
    /// </summary>
    public TimeSpan LameDuck { get; init; }

    /// <summary>Longest graceful stop: streams that still run after it are aborted. Default 10 s.</summary>
    public TimeSpan StopTimeout { get; init; } = TimeSpan.FromSeconds(10);
}
