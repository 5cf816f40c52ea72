using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Skein.Engines;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Protocol;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>Upstreams that are added and removed while a whole gateway runs. The gateway has no group: only upstreams serve.</summary>
public sealed class UpstreamServiceTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private readonly KeyedEngine _engine = new() { Slots = 3 };
    private readonly GatewayApp _gateway = GatewayApp.Build(new GatewayOptions
    {
        Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), StopTimeout = TimeSpan.Zero,
    });

    private FleetTracker Fleet => _gateway.Services.GetRequiredService<FleetTracker>();

    public async ValueTask InitializeAsync() => await _gateway.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _gateway.StopAsync();
        await _gateway.DisposeAsync();
    }

    [Fact]
    public async Task Add_ServerAnswers_ServesRequests()
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));
        await FleetAsync("host:1");
        _engine.Of("Hello").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Finish);

        Assert.Contains("\"text\":\"x\"", await AskAsync("Hello"));
        Assert.Equal(["host:1"], _gateway.Upstreams.Names);
    }

    [Fact]
    public async Task Add_ServerDoesNotAnswerAtFirst_IsTriedUntilItDoes()
    {
        var tries = 0;
        _gateway.Upstreams.Add(Of("host:1", _engine) with
        {
            ConnectAsync = _ => ++tries == 1
                ? throw new FaultException(Fault.Unreachable, "connection refused")
                : Task.FromResult<IInferenceEngine>(_engine),
        });

        await FleetAsync("host:1");

        Assert.Equal(2, tries);
    }

    [Theory]
    [InlineData("")]
    [InlineData("with space")]
    [InlineData("host:1")]
    public void Add_NameThatCannotBe_IsRefusedAndSaysWhy(string name)
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));

        var refusal = Assert.Throws<ArgumentException>(() => _gateway.Upstreams.Add(Of(name, _engine)));

        Assert.Contains($"'{name}'", refusal.Message);
    }

    [Fact]
    public async Task Remove_NobodyElseServes_RunningStreamFinishesAndNoOtherBegins()
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));
        await FleetAsync("host:1");
        _engine.Of("running").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var running = AskAsync("running");
        await UntilAsync(() => _engine.Of("running").Said == 2, "a running stream");

        var removing = _gateway.Upstreams.RemoveAsync("host:1", Deadline, TestContext.Current.CancellationToken);
        await UntilAsync(() => Fleet.Current.Replicas.All(replica => replica.Draining), "a drain");
        Assert.False(removing.IsCompleted);
        _engine.Of("running").Say(KeyedEngine.Token(1), KeyedEngine.Finish);

        Assert.Contains("\"text\":\"xx\"", await running);
        await removing.WaitAsync(Deadline);
        await FleetAsync();
        Assert.Empty(_gateway.Upstreams.Names);
    }

    [Fact]
    public async Task Remove_AnotherOneServes_StreamIsHandedOver()
    {
        var other = new KeyedEngine { Slots = 3 };
        _gateway.Upstreams.Add(Of("host:1", _engine));
        await FleetAsync("host:1");
        _engine.Of("moving").Say(KeyedEngine.Start, KeyedEngine.Token(0));
        var moving = AskAsync("moving");
        await UntilAsync(() => _engine.Of("moving").Said == 2, "a running stream");
        _gateway.Upstreams.Add(Of("host:2", other));
        await FleetAsync("host:1", "host:2");

        // The stream of the first server has stopped: only a hand-over or the timeout can end it.
        other.Of("moving").Say(KeyedEngine.Start, KeyedEngine.Token(0), KeyedEngine.Token(1), KeyedEngine.Finish);
        await _gateway.Upstreams.RemoveAsync("host:1", TimeSpan.Zero, TestContext.Current.CancellationToken).WaitAsync(Deadline);

        Assert.Contains("\"finish_reason\":\"length\"", await moving);
        await FleetAsync("host:2");
    }

    [Fact]
    public async Task Remove_UnknownName_IsRefusedAndNamesTheOthers()
    {
        _gateway.Upstreams.Add(Of("host:1", _engine));

        var refusal = await Assert.ThrowsAsync<ArgumentException>(() => _gateway.Upstreams.RemoveAsync("host:9", Deadline));

        Assert.StartsWith("there is no upstream 'host:9'; allowed: host:1", refusal.Message);
    }

    /// <summary>An exception in one engine stopped the whole gateway.</summary>
    [Fact]
    public async Task Connect_ThrowsOnce_IsTriedAgainAndServed()
    {
        var tries = 0;

        _gateway.Upstreams.Add(Of("host:1", _engine) with
        {
            ConnectAsync = _ => ++tries == 1 ? throw new InvalidOperationException("a bug") : Task.FromResult<IInferenceEngine>(_engine),
        });

        await FleetAsync("host:1");
        Assert.Equal(2, tries);
    }

    [Theory]
    [InlineData(0, 2000)]
    [InlineData(1, 299)]
    public void Add_OptionOutOfRange_IsRefused(int slots, int timeoutMs) =>
        Assert.Throws<ArgumentException>(() => _gateway.Upstreams.Add(
            Of("host:1", _engine) with { Slots = slots, EngineTimeout = TimeSpan.FromMilliseconds(timeoutMs) }));

    private static UpstreamOptions Of(string name, KeyedEngine engine) => new() { Name = name, ConnectAsync = _ => Task.FromResult<IInferenceEngine>(engine) };

    private async Task<string> AskAsync(string prompt)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var response = await http.PostAsJsonAsync($"http://{_gateway.Http}/v1/completions", new { model = "m", prompt, max_tokens = 9 });
        return await response.Content.ReadAsStringAsync();
    }

    private Task FleetAsync(params string[] names) =>
        UntilAsync(
            () => Fleet.Current.Replicas.Select(replica => replica.Id.Name).Order(StringComparer.Ordinal).SequenceEqual(names),
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
