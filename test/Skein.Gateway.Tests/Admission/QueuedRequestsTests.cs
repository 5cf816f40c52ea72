using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Skein.Engines;
using Skein.Engines.Simulated;
using Skein.Gateway.Tests.Api.OpenAi;
using Skein.Gateway.Upstreams;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;

namespace Skein.Gateway.Tests.Admission;

/// <summary>Whole gateways with simulated engines as upstreams, whose clients' requests wait for slots.</summary>
public sealed class QueuedRequestsTests
{
    private const string Model = "simulated";
    private const string Prompt = "abcdefgh";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The big tenant's queue never empties: it always has more than ten times the requests of the small one.</summary>
    [Fact]
    public async Task TenantFairness_TenTimesTheDemandOfTheOther_BothGetTheSameTokens()
    {
        await using var gateway = await StartAsync(new AdmissionOptions { TenantFairness = true });
        using var client = ClientOf(gateway);
        const int Small = 20;
        const int Rounds = 3;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        // Nobody of the small tenant has stopped asking by then.
        var served = new Served(compareAfter: Small * (Rounds - 1));
        // Before there is a replica all of them wait.
        Task[] big = [.. Enumerable.Range(0, 10 * Small).Select(_ => AskUntilAsync(client, "big", maxTokens: 3, tokens => served.AddBig(tokens), stop.Token))];
        Task[] small = [.. Enumerable.Range(0, Small).Select(_ => AskSomeAsync(client, "small", maxTokens: 12, Rounds, tokens => served.AddSmall(tokens), Cancellation))];
        await UntilWaitingAsync(gateway, 11 * Small);

        // So slow that requests wait for the slot, and nowhere else.
        gateway.Upstreams.Add(Upstream("upstream-1", slots: 1, tokensPerSecond: 2000));
        await Task.WhenAny(Task.WhenAll(small), Task.WhenAll(big));

        Assert.InRange(served.Big, 0.95 * served.Small, 1.05 * served.Small);
        await stop.CancelAsync();
        await Task.WhenAll(big);
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    [Fact]
    public async Task PostPolicies_WhileRequestsRunAndWait_LosesNone()
    {
        await using var gateway = await StartAsync(new AdmissionOptions());
        using var client = ClientOf(gateway);
        gateway.Upstreams.Add(Upstream("upstream-1", slots: 2, tokensPerSecond: 200));
        gateway.Upstreams.Add(Upstream("upstream-2", slots: 2, tokensPerSecond: 200));
        Task<long>[] answers = [.. Enumerable.Range(0, 60).Select(i => AskAsync(client, $"tenant-{i}", maxTokens: 8, Cancellation))];
        await UntilWaitingAsync(gateway, 1);

        var names = BalancingPolicies.BuiltIn.Select(policy => policy.Name).Append("weighted-least-connections").ToList();
        foreach (var name in names)
        {
            await answers[names.IndexOf(name) * 5];
            using var changed = await client.PostAsync("/admin/v1/policies", Requests.Json($$"""{"policy":"{{name}}","model":"{{Model}}"}"""), Cancellation);
            Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
            Assert.Contains($"\"policy\":\"{name}\"", await client.GetStringAsync("/admin/v1/policies", Cancellation), StringComparison.Ordinal);
        }

        Assert.All(await Task.WhenAll(answers), tokens => Assert.InRange(tokens, 1, long.MaxValue));
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    private static async Task<GatewayApp> StartAsync(AdmissionOptions admission)
    {
        var gateway = GatewayApp.Build(new GatewayOptions { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0), Admission = admission });
        await gateway.StartAsync(Cancellation);
        return gateway;
    }

    private static HttpClient ClientOf(GatewayApp gateway) =>
        new(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri($"http://{gateway.Http}"), Timeout = TimeSpan.FromSeconds(60) };

    private static UpstreamOptions Upstream(string name, int slots, double tokensPerSecond) => new()
    {
        Name = name,
        ConnectAsync = _ => Task.FromResult<IInferenceEngine>(SimulatedEngineFactory.Create(
            new SimulatedEngineOptions { Model = Model, Slots = slots, TokensPerSecond = tokensPerSecond }, TimeProvider.System)),
    };

    private static async Task UntilWaitingAsync(GatewayApp gateway, int waiters)
    {
        var queue = gateway.Services.GetRequiredService<AdmissionQueue>();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        while (queue.Waiting < waiters)
        {
            Assert.False(deadline.IsCancellationRequested, $"{queue.Waiting} requests wait after 30 s; expected {waiters}");
            await Task.Yield();
        }
    }

    private static async Task AskSomeAsync(HttpClient client, string key, int maxTokens, int times, Action<long> served, CancellationToken cancellation)
    {
        for (var i = 0; i < times; i++)
            served(await AskAsync(client, key, maxTokens, cancellation));
    }

    private static async Task AskUntilAsync(HttpClient client, string key, int maxTokens, Action<long> served, CancellationToken cancellation)
    {
        try
        {
            while (true)
                served(await AskAsync(client, key, maxTokens, cancellation));
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The test has seen enough.
        }
    }

    /// <returns>Tokens of the answer, and of the prompt as the gateway estimates them: a quarter of its bytes.</returns>
    private static async Task<long> AskAsync(HttpClient client, string key, int maxTokens, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/completions")
        {
            Content = Requests.Json($$"""{"model":"{{Model}}","prompt":"{{Prompt}}","max_tokens":{{maxTokens}},"ignore_eos":true}"""),
            Headers = { { "authorization", $"Bearer {key}" } },
        };
        using var response = await client.SendAsync(request, cancellation);
        var body = await response.Content.ReadAsStringAsync(cancellation);
        Assert.True(response.IsSuccessStatusCode, body);
        using var json = JsonDocument.Parse(body);
        return json.RootElement.GetProperty("usage").GetProperty("completion_tokens").GetInt64() + (Prompt.Length / 4);
    }

    /// <param name="compareAfter">Requests of the small tenant after which the tokens are compared.</param>
    private sealed class Served(int compareAfter)
    {
        private readonly Lock _gate = new();
        private long _big;
        private int _requests;

        public long Small { get; private set; }

        public long Big { get; private set; }

        public void AddBig(long tokens)
        {
            lock (_gate)
                _big += tokens;
        }

        public void AddSmall(long tokens)
        {
            lock (_gate)
            {
                if (++_requests <= compareAfter)
                    (Small, Big) = (Small + tokens, _big);
            }
        }
    }
}
