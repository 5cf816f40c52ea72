using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;
using Skein.Engines;
using Skein.Gateway.Telemetry;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Protocol.V1;
using Skein.Serving.Grpc;

namespace Skein.Gateway.Tests.Telemetry;

/// <summary>What a collector gets. Runs alone, as all that listens to the process.</summary>
[Collection(nameof(MetricsTests))]
public sealed class OtlpTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private readonly ConcurrentDictionary<string, string> _received = new(StringComparer.Ordinal);
    private WebApplication _collector = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        _collector = builder.Build();
        _collector.Run(async http =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            // Texts are as they are in protobuf.
            _received.AddOrUpdate(http.Request.Path.Value!, _ => Encoding.UTF8.GetString(body.ToArray()), (_, before) => before + Encoding.UTF8.GetString(body.ToArray()));
        });
        await _collector.StartAsync(Stop);
    }

    public async ValueTask DisposeAsync() => await _collector.DisposeAsync();

    [Fact]
    public async Task Request_WithACollector_IsInTracesMetricsAndLogs()
    {
        await using var gateway = GatewayApp.Build(
            new GatewayOptions
            {
                Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), StopTimeout = TimeSpan.Zero,
                Telemetry = new TelemetryOptions { Otlp = new Uri(_collector.Urls.First()), OtlpOverHttp = true, InstanceId = "g-1" },
            },
            builder => builder.Logging.SetMinimumLevel(LogLevel.Information));
        await gateway.StartAsync(Stop);
        var engine = new KeyedEngine();
        gateway.Upstreams.Add(new UpstreamOptions { Name = "first", Label = "first", ConnectAsync = _ => Task.FromResult<IInferenceEngine>(engine) });
        engine.Of("a secret prompt").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });

        using var answer = await http.PostAsJsonAsync($"http://{gateway.Http}/v1/completions", new { model = "m", prompt = "a secret prompt", max_tokens = 9 }, Stop);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.True(gateway.Services.GetRequiredService<TracerProvider>().ForceFlush((int)Deadline.TotalMilliseconds));
        // Its result is that of all readers, and Prometheus' cannot be flushed.
        gateway.Services.GetRequiredService<MeterProvider>().ForceFlush((int)Deadline.TotalMilliseconds);
        Assert.True(gateway.Services.GetRequiredService<LoggerProvider>().ForceFlush((int)Deadline.TotalMilliseconds));
        Assert.All(["/v1/traces", "/v1/metrics", "/v1/logs"], path => Assert.Contains("skein-gateway", _received.GetValueOrDefault(path, ""), StringComparison.Ordinal));
        Assert.All(["text_completion m", "skein.picked", "skein.first_token", "attempt", "g-1"], text => Assert.Contains(text, _received["/v1/traces"], StringComparison.Ordinal));
        Assert.All(["skein.replica.slots", "skein.queue.wait"], text => Assert.Contains(text, _received["/v1/metrics"], StringComparison.Ordinal));
        Assert.Contains("is served", _received["/v1/logs"], StringComparison.Ordinal);
        Assert.All(_received.Values, text => Assert.DoesNotContain("secret", text, StringComparison.Ordinal));
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    /// <summary>Replicas exported nothing: a trace ended at the gateway.</summary>
    [Fact]
    public async Task Attempt_OfAReplicaWithACollector_IsInItsTracesAndMetrics()
    {
        var telemetry = new TelemetryOptions { Otlp = new Uri(_collector.Urls.First()), OtlpOverHttp = true };
        var engine = new KeyedEngine();
        await using var replica = ReplicaApp.Build(
            new ReplicaOptions { Endpoint = new IPEndPoint(IPAddress.Loopback, 0) }, engine, builder => builder.Services.AddReplicaExport(telemetry, "r-1"));
        await replica.StartAsync(Stop);
        await using var gateway = new GatewaySide(replica.Endpoint.ToString());
        engine.Of("hello").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);
        var request = new GenerateRequest
        {
            Text = "hello", Model = "m", Attempt = 1, RequestId = "request-7", TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        };

        await gateway.Read(request).RestAsync();

        Assert.True(replica.Services.GetRequiredService<TracerProvider>().ForceFlush((int)Deadline.TotalMilliseconds));
        Assert.True(replica.Services.GetRequiredService<MeterProvider>().ForceFlush((int)Deadline.TotalMilliseconds));
        Assert.All(["skein-replica", "r-1", "generate m", "request-7", "skein.first_token"], text => Assert.Contains(text, _received["/v1/traces"], StringComparison.Ordinal));
        Assert.All(
            ["skein.engine.slots", "skein.engine.running", "skein.engine.tokens", "skein.engine.attempts"],
            text => Assert.Contains(text, _received["/v1/metrics"], StringComparison.Ordinal));
        var sent = Assert.Single(engine.Asked);
        Assert.StartsWith("00-0af7651916cd43dd8448eb211c80319c-", sent.TraceParent, StringComparison.Ordinal);
        Assert.NotEqual(request.TraceParent, sent.TraceParent);
    }
}
