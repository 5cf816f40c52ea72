using Google.Protobuf;
using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api;
using Skein.Gateway.Api.Grpc;
using Skein.Gateway.Api.Http;
using Skein.Gateway.Keys;
using Skein.Gateway.Security;
using Skein.Gateway.Telemetry;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Api;

/// <summary>The APIs on real sockets, in front of scripted sessions.</summary>
internal sealed class TestGateway : IAsyncDisposable
{
    private readonly WebApplication _app;

    private TestGateway(WebApplication app, ScriptedSessions sessions, LogLines log, Uri http1, Uri http2)
    {
        _app = app;
        Sessions = sessions;
        Log = log;
        Http1 = http1;
        Http2 = http2;
        Outcomes = new Outcomes(app.Services);
        Client = new HttpClient { BaseAddress = http1, Timeout = TimeSpan.FromSeconds(60) };
    }

    public ScriptedSessions Sessions { get; }

    public ApiKeyStore Keys => _app.Services.GetRequiredService<ApiKeyStore>();

    /// <summary>The calls that are passed through.</summary>
    public required ScriptedCalls Calls { get; init; }

    public LogLines Log { get; }

    public Uri Http1 { get; }

    /// <summary>The same without TLS over HTTP/2.</summary>
    public Uri Http2 { get; }

    public HttpClient Client { get; }

    public Outcomes Outcomes { get; }

    public IServiceProvider Services => _app.Services;

    public static async Task<TestGateway> StartAsync(Action<ScriptedSession>? script = null, ApiOptions? options = null, TimeProvider? time = null, IModelCatalog? models = null,
        Action<IEndpointRouteBuilder>? map = null, ApiKeyRing? keys = null, TelemetryOptions? telemetry = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        var log = new LogLines();
        builder.Logging.ClearProviders().AddProvider(log).SetMinimumLevel(LogLevel.Debug);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
        });
        var sessions = new ScriptedSessions();
        if (script is not null)
            sessions.Script = script;
        builder.Services.AddSingleton(time ?? TimeProvider.System);
        builder.Services.AddSingleton<IGenerationSessions>(sessions);
        var calls = new ScriptedCalls();
        builder.Services.AddSingleton<IEngineCalls>(calls);
        builder.Services.AddSingleton(models ?? new TwoModels());
        builder.Services.AddSingleton<IFleetVitals, ThreeMembers>();
        builder.Services.AddSingleton(CountedStatistics());
        builder.Services.AddSingleton(OneStall());
        builder.Services.AddSkeinTelemetry(telemetry);
        builder.Services.AddHttpApi(options ?? new ApiOptions());
        builder.Services.AddInferenceGrpc(options ?? new ApiOptions());
        var app = builder.Build();
        app.UseHttpApi();
        var store = app.Services.GetRequiredService<ApiKeyStore>();
        if (keys is not null)
            store.Use(keys);
        app.Use(new KeyMiddleware(store).EnterAsync);
        (map ?? Dialects.MapDialects)(app);
        app.MapGrpcService<InferenceGateway>().Add(app.Services.GetRequiredService<MessageGate>().Guard);
        app.MapGrpcReflectionService();
        app.MapPrometheusScrapingEndpoint("/metrics");
        await app.StartAsync();
        var urls = app.Urls.ToArray();
        return new TestGateway(app, sessions, log, new Uri(urls[0]), new Uri(urls[1])) { Calls = calls };
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        Outcomes.Dispose();
        // Sessions that a test left open would delay the stop of the server.
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private static ProcessLateness OneStall()
    {
        var time = new FakeTimeProvider();
        var lateness = new ProcessLateness(time, TimeSpan.FromMilliseconds(200));
        time.Advance(TimeSpan.FromSeconds(10));
        time.Advance(TimeSpan.FromMilliseconds(100));
        return lateness;
    }

    private static RoutingStatistics CountedStatistics()
    {
        var statistics = new RoutingStatistics();
        Repeat(2, () => statistics.FailedOver(Fault.EngineStall));
        Repeat(5, () => statistics.Hedged());
        Repeat(3, () => statistics.HedgeWon());
        Repeat(7, () => statistics.LateFrame());
        Repeat(11, () => statistics.SessionOpened());
        statistics.Journaled(13);
        return statistics;
    }

    private static void Repeat(int times, Action act)
    {
        for (var i = 0; i < times; i++)
            act();
    }

    private sealed class TwoModels : IModelCatalog
    {
        public LoadReport Load() => new() { Slots = 8, Running = 3, Waiting = 1 };

        public IReadOnlyList<ServedModel> List() =>
        [
            new(new ModelDescription { Name = "tiny", ContextTokens = 512, Chat = true }, DateTimeOffset.FromUnixTimeSeconds(1_700_000_000)),
            new(
                new ModelDescription { Name = "org/big \"q\"", Metadata = ByteString.CopyFromUtf8("""{"owned_by":"vllm","max_model_len":512}""") },
                DateTimeOffset.FromUnixTimeSeconds(1_700_000_001)),
        ];
    }

    private sealed class ThreeMembers : IFleetVitals
    {
        public IEnumerable<(string Model, int Waiters)> Queues() => [];

        public IEnumerable<(string Role, string State, int Count)> Members() => [(Roles.Gateway, "alive", 1), (Roles.Replica, "suspect", 2)];

        public IEnumerable<(string Cause, long Count)> Dropped() => [("malformed", 0), ("cluster", 5)];

        public IEnumerable<(string Replica, int Slots, int Leased, bool Draining)> Replicas() => [("replica-1", 8, 3, false), ("replica-2", 4, 0, true)];

        public IEnumerable<(string Replica, double Share)> KvUsed() => [("replica-1", 0.25)];

        public IEnumerable<(string Replica, int Level, long Ejections)> Breakers() => [("replica-1", 2, 3)];
    }
}

/// <summary>Everything that was logged, except the server's warning that its timer was late on a busy machine.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<LogLine> _lines = new();

    public IEnumerable<LogLine> All => _lines;

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

    public void Dispose()
    {
    }

    private sealed class Logger(string category, ConcurrentQueue<LogLine> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Name != "HeartbeatSlow")
                lines.Enqueue(new(logLevel, category, formatter(state, exception), exception));
        }
    }
}

internal sealed record LogLine(LogLevel Level, string Category, string Message, Exception? Exception);
