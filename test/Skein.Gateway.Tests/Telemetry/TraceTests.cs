using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Skein.Engines;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Protocol;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Telemetry;

/// <summary>Traces and metrics of a whole gateway. Runs alone: listeners hear all gateways of the process.</summary>
[Collection(nameof(MetricsTests))]
public sealed class TraceTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    private readonly ConcurrentQueue<Activity> _spans = [];
    private readonly ActivityListener _listener;
    private readonly ActivityTraceId _trace = ActivityTraceId.CreateRandom();
    private readonly ActivitySpanId _client = ActivitySpanId.CreateRandom();
    private readonly GatewayApp _gateway = GatewayApp.Build(new GatewayOptions
    {
        Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), StopTimeout = TimeSpan.Zero,
    });

    public TraceTests()
    {
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == RequestTrace.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Parent.TraceId == _trace ? ActivitySamplingResult.AllDataAndRecorded : ActivitySamplingResult.None,
            ActivityStopped = _spans.Enqueue,
        };
        ActivitySource.AddActivityListener(_listener);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await _gateway.StartAsync();

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _gateway.StopAsync();
        await _gateway.DisposeAsync();
    }

    [Fact]
    public async Task Request_WaitsAndFailsOver_IsOneTraceFromClientToEngine()
    {
        var (first, second) = (new KeyedEngine { Slots = 1 }, new KeyedEngine { Slots = 1 });
        Add("first", first);
        await FleetAsync("first");
        first.Of("busy").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var busy = AskAsync("busy", traceParent: null);
        await UntilAsync(() => first.Of("busy").Said == 2, "a busy slot");
        var asked = AskAsync("traced", $"00-{_trace}-{_client}-01");
        await UntilAsync(() => _gateway.Services.GetRequiredService<Skein.Routing.Admission.AdmissionQueue>().Waiting == 1, "a waiting request");
        first.Of("busy").Say(KeyedEngine.Finish);
        await busy;
        first.Of("traced").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        await UntilAsync(() => first.Of("traced").Said == 2, "a first token");
        Add("second", second);
        await FleetAsync("first", "second");
        second.Of("traced").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1), KeyedEngine.Finish);
        first.Of("traced").End(new FaultException(Fault.ConnectionLost, "reset"));

        Assert.Contains("\"text\":\"xx\"", await asked, StringComparison.Ordinal);

        await UntilAsync(() => _spans.Count == 3, "three spans");
        var request = _spans.Single(span => span.Kind == ActivityKind.Server);
        Activity[] attempts = [.. _spans.Where(span => span.Kind == ActivityKind.Client).OrderBy(span => span.GetTagItem("skein.attempt"))];
        Assert.All(_spans, span => Assert.Equal(_trace, span.TraceId));
        Assert.Equal((_client, "text_completion m"), (request.ParentSpanId, request.DisplayName));
        Assert.All(attempts, attempt => Assert.Equal(request.SpanId, attempt.ParentSpanId));
        Assert.Equal(["first", "second"], attempts.Select(attempt => attempt.GetTagItem(RequestTrace.ReplicaTag)));
        Assert.Equal(["connection_lost", null], attempts.Select(attempt => attempt.GetTagItem("error.type")));
        Assert.Equal(
            ["skein.queued", "skein.picked", "skein.first_token", "skein.failover", "skein.picked"], request.Events.Select(happened => happened.Name));
        Assert.Equal(("completed", 2), (request.GetTagItem("skein.outcome"), request.GetTagItem("skein.attempts")));
        Assert.Equal(attempts[0].Id, first.Asked.Last().TraceParent);
        Assert.Equal(attempts[1].Id, second.Asked.Last().TraceParent);
    }

    /// <summary>Without anybody who listens to it, a trace passes through as it came.</summary>
    [Fact]
    public async Task Request_TraceThatIsNotSampled_EngineGetsTheClients()
    {
        var engine = new KeyedEngine();
        Add("first", engine);
        await FleetAsync("first");
        engine.Of("other").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);
        var parent = $"00-{ActivityTraceId.CreateRandom()}-{_client}-01";

        await AskAsync("other", parent);

        Assert.Equal(parent, engine.Asked.Single().TraceParent);
        Assert.Empty(_spans);
    }

    [Fact]
    public async Task Metrics_UpstreamIsRemoved_ItsGaugesEnd()
    {
        var engine = new KeyedEngine { Slots = 7 };
        Add("first", engine);
        Add("second", new KeyedEngine { Slots = 3 });
        await FleetAsync("first", "second");
        engine.Of("a").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1), KeyedEngine.Finish);
        await MetricsAsync(text => text.Contains("skein_replica_slots", StringComparison.Ordinal) && Of(text, "first", "7") && Of(text, "second", "3"));
        await MetricsAsync(text => text.Contains("skein_members{otel_scope_name=\"Skein.Gateway\",role=\"replica\",state=\"alive\"} 2", StringComparison.Ordinal));

        await _gateway.Upstreams.RemoveAsync("second", TimeSpan.Zero, Stop);

        await MetricsAsync(text => Of(text, "first", "7") && !text.Contains("skein_replica_slots{otel_scope_name=\"Skein.Gateway\",replica=\"second\"", StringComparison.Ordinal)
            && !text.Contains("skein_breaker_state{otel_scope_name=\"Skein.Gateway\",replica=\"second\"", StringComparison.Ordinal));

        static bool Of(string text, string replica, string slots) =>
            text.Contains($"skein_replica_slots{{otel_scope_name=\"Skein.Gateway\",replica=\"{replica}\"}} {slots}", StringComparison.Ordinal);
    }

    private void Add(string name, KeyedEngine engine) => _gateway.Upstreams.Add(
        new UpstreamOptions { Name = name, Label = name, ConnectAsync = _ => Task.FromResult<IInferenceEngine>(engine) });

    private async Task MetricsAsync(Func<string, bool> holds)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var started = TimeProvider.System.GetTimestamp();
        while (await http.GetStringAsync($"http://{_gateway.Http}/metrics", Stop) is var text && !holds(text))
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Deadline, text);
    }

    private async Task<string> AskAsync(string prompt, string? traceParent)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, ActivityHeadersPropagator = null });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{_gateway.Http}/v1/completions")
        {
            Content = JsonContent.Create(new { model = "m", prompt, max_tokens = 9 }),
        };
        if (traceParent is not null)
            request.Headers.Add("traceparent", traceParent);
        using var response = await http.SendAsync(request, Stop);
        return await response.Content.ReadAsStringAsync(Stop);
    }

    private Task FleetAsync(params string[] names) =>
        UntilAsync(
            () => _gateway.Services.GetRequiredService<FleetTracker>().Current.Replicas.Select(replica => replica.Id.Name)
                .Order(StringComparer.Ordinal).SequenceEqual(names),
            $"a fleet of [{string.Join(", ", names)}]");

    private static async Task UntilAsync(Func<bool> holds, string what)
    {
        using var deadline = new CancellationTokenSource(Deadline, TimeProvider.System);
        while (!holds())
        {
            Assert.False(deadline.IsCancellationRequested, $"no {what} within {Deadline.TotalSeconds:0} s");
            await Task.Yield();
        }
    }
}
