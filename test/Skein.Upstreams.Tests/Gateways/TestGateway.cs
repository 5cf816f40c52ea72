using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Skein.Engines;
using Skein.Engines.OpenAiCompatible;
using Skein.Gateway;
using Skein.Gateway.Upstreams;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Upstreams.Tests.Servers;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>A gateway as <c>skein gateway --upstream URL,URL</c> composes it, on free ports of this process.</summary>
internal sealed class TestGateway : IAsyncDisposable
{
    /// <summary>Slots that are told to the gateway where a test is not about finding them out.</summary>
    private const int ToldSlots = 16;

    /// <summary>Nothing can be kept here, inside a file: what a scripted server says must not last longer than the test.</summary>
    private static readonly string NoDirectory = Path.Combine(typeof(TestGateway).Assembly.Location, "none");

    private readonly GatewayApp _app;
    private readonly IMembership _membership;

    private TestGateway(GatewayApp app, IMembership membership, LogLines log) => (_app, _membership, Log) = (app, membership, log);

    public LogLines Log { get; }

    public string GossipAddress => _membership.LocalEndPoint.ToString();

    public int Port => _app.Http.Port;

    /// <summary>Starts a gateway with told slots, and waits until it serves all servers.</summary>
    public static Task<TestGateway> StartAsync(params ScriptedServer[] servers) => StartAsync(new Setup(), servers);

    /// <summary>Starts a gateway with nothing but URLs. Does not wait until servers are served.</summary>
    public static Task<TestGateway> StartWithUrlsAsync(params ScriptedServer[] servers) => StartAsync(new Setup { Slots = null, Awaits = false }, servers);

    public static Task<TestGateway> StartAsync(Setup setup, params ScriptedServer[] servers) =>
        StartAsync(setup, [.. servers.Select(server => server.Url)]);

    public static Task<TestGateway> StartAsync(Setup setup, IReadOnlyList<Uri> urls) => StartAsync(setup, [.. urls.Select(url => UpstreamOf(url, setup))]);

    /// <summary>Starts a gateway with an engine in this process, and waits until it is served.</summary>
    public static Task<TestGateway> StartAsync(Func<IInferenceEngine> create) => StartAsync(
        new Setup(), [new UpstreamOptions { Name = "engine", ConnectAsync = _ => Task.FromResult(create()), Slots = ToldSlots }]);

    private static async Task<TestGateway> StartAsync(Setup setup, List<UpstreamOptions> upstreams)
    {
        var options = new GatewayOptions
        {
            Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), StopTimeout = TimeSpan.FromMilliseconds(100),
        };
        options = options with { Admission = options.Admission with { NoReplicaTimeout = setup.NoReplicaTimeout } };
        var log = new LogLines();
        var app = GatewayApp.Build(setup.Options(options), builder => builder.Logging.AddProvider(log).SetMinimumLevel(LogLevel.Information));
        IMembership? membership = null;
        try
        {
            foreach (var upstream in upstreams)
                app.Upstreams.Add(upstream);
            await app.StartAsync(TestContext.Current.CancellationToken);
            membership = await JoinAsync(app, upstreams, setup.Join);
            app.Join(membership);
            var gateway = new TestGateway(app, membership, log);
            if (setup.Awaits)
                await gateway.WhenServedAsync([.. upstreams.Select(upstream => upstream.Name)]);
            return gateway;
        }
        catch
        {
            await app.DisposeAsync();
            if (membership is not null)
                await membership.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until servers are served.</summary>
    public async Task WhenServedAsync(params string[] names)
    {
        var fleet = _app.Services.GetRequiredService<IFleetSource>();
        var served = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        fleet.Changed += Look;
        try
        {
            Look();
            await served.Task.WaitAsync(TimeSpan.FromSeconds(15), TimeProvider.System, TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"not served after 15 s: {string.Join(", ", names)}\n{Log}");
        }
        finally
        {
            fleet.Changed -= Look;
        }

        void Look()
        {
            if (names.All(name => fleet.Current.Replicas.Any(replica => replica.Id.Name == name)))
                served.TrySetResult();
        }
    }

    /// <summary>Sends a request and reads its answer to the end.</summary>
    public async Task<Reply> PostAsync(string path, string json, string headers = "", int seconds = 20)
    {
        using var call = await OpenAsync(path, json, headers);
        return await call.EndAsync(seconds);
    }

    public Task<Reply> ChatAsync(string members = "\"stream\":true", string headers = "", int seconds = 20) =>
        PostAsync("/v1/chat/completions", Requests.Chat(members), headers, seconds);

    public Task<Reply> CompleteAsync(string members = "\"stream\":true", string headers = "", int seconds = 20) =>
        PostAsync("/v1/completions", Requests.Completion(members), headers, seconds);

    /// <summary>Sends a request, whose answer the caller reads.</summary>
    public Task<Call> OpenAsync(string path, string json, string headers = "") => Call.OpenAsync(
        Port,
        $"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
        + $"{(headers.Contains("Content-Type:", StringComparison.OrdinalIgnoreCase) ? "" : "Content-Type: application/json\r\n")}"
        + $"{headers}Content-Length: {Encoding.UTF8.GetByteCount(json)}\r\n\r\n{json}");

    public Task<Call> OpenChatAsync(string members = "\"stream\":true", string headers = "") =>
        OpenAsync("/v1/chat/completions", Requests.Chat(members), headers);

    public async Task<Reply> GetAsync(string path)
    {
        using var call = await Call.OpenAsync(Port, $"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return await call.EndAsync(20);
    }

    /// <summary>The row of a server in <c>skein status --json</c>.</summary>
    public async Task<JsonElement> StatusAsync(string name)
    {
        var rows = (await GetAsync("/admin/v1/members")).Json;
        return rows.EnumerateArray().Single(row => row.GetProperty("name").GetString() == name);
    }

    /// <summary>Waits, for at most 3 s, until no request holds a slot of these servers.</summary>
    public async Task WhenIdleAsync(params string[] names)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(3), TimeProvider.System);
        foreach (var name in names)
        {
            while ((await StatusAsync(name)).GetProperty("inFlight").GetInt32() > 0)
            {
                Assert.False(deadline.IsCancellationRequested, $"a slot of {name} is still held after 3 s");
                await Task.Yield();
            }
        }
    }

    /// <summary>Waits, for at most 15 s, until these servers were tried and have a resume tier.</summary>
    public async Task WhenTierAsync(string tier, params string[] names)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(15), TimeProvider.System);
        foreach (var name in names)
        {
            while ((await StatusAsync(name)).GetProperty("tier").GetString() != tier)
            {
                Assert.False(deadline.IsCancellationRequested, $"{name} does not have the tier {tier} after 15 s\n{Log}");
                await Task.Yield();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync();
        await _app.StopAsync(atOnce.Token);
        await _app.DisposeAsync();
        await _membership.DisposeAsync();
    }

    private static string NameOf(Uri url) => $"{url.Host}:{url.Port}";

    // As Skein.Cli.Upstreams.UpstreamSettings does.
    private static UpstreamOptions UpstreamOf(Uri url, Setup setup)
    {
        var server = setup.Server(new OpenAiEngineOptions { BaseUrl = url, Slots = setup.Slots, CacheDirectory = NoDirectory });
        return new UpstreamOptions
        {
            Name = NameOf(url),
            Url = url,
            Models = server.Model is { } model ? [model, .. server.Aliases] : [],
            ConnectAsync = cancellationToken => OpenAiEngineFactory.ConnectAsync(server, TimeProvider.System, createHandler: null, cancellationToken),
            Slots = server.Slots,
        };
    }

    private static Task<IMembership> JoinAsync(GatewayApp app, IReadOnlyList<UpstreamOptions> upstreams, string? seed)
    {
        var options = new MembershipOptions { Name = $"g-{app.Grpc.Port}", Bind = new IPEndPoint(IPAddress.Loopback, 0), Seeds = seed is null ? [] : [seed] };
        var metadata = new MemberMetadata
        {
            Role = Roles.Gateway, Http = app.Http.ToString(), Grpc = app.Grpc.ToString(), Upstreams = UpstreamSharing.DigestsOf(upstreams),
        };
        return MembershipService.StartAsync(
            options, metadata, TimeProvider.System, app.Services.GetRequiredService<ILoggerFactory>(), TestContext.Current.CancellationToken);
    }

    /// <summary>What is told to a gateway beside its URLs.</summary>
    internal sealed record Setup
    {
        /// <summary><c>--upstream-slots</c>; null: not told.</summary>
        public int? Slots { get; init; } = ToldSlots;

        /// <summary>Whether the start waits until all servers are served.</summary>
        public bool Awaits { get; init; } = true;

        /// <summary>Gossip address of another gateway.</summary>
        public string? Join { get; init; }

        /// <summary>Changes the gateway's options.</summary>
        public Func<GatewayOptions, GatewayOptions> Options { get; init; } = options => options;

        /// <summary>Longest wait while no server can serve: shorter than the default of 30 s, so that what is never served fails soon.</summary>
        public TimeSpan NoReplicaTimeout { get; init; } = TimeSpan.FromSeconds(5);

        public Func<OpenAiEngineOptions, OpenAiEngineOptions> Server { get; init; } = server => server;

        /// <summary>With a short wait for a server that can serve.</summary>
        public static Setup ShortWaits(int milliseconds = 3_000) => new() { NoReplicaTimeout = TimeSpan.FromMilliseconds(milliseconds) };
    }
}
