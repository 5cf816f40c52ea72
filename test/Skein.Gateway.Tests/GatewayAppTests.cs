using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;

namespace Skein.Gateway.Tests;

public sealed class GatewayAppTests
{
    private static readonly GatewayOptions Options = new() { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0) };

    /// <summary>Background loops of a gateway failed without a log line or an effect.</summary>
    [Fact]
    public async Task Stopping_LoopThrows_IsCancelled()
    {
        var failure = new TaskCompletionSource();
        await using var gateway = GatewayApp.Build(Options);
        gateway.Services.GetRequiredService<BackgroundTasks>().Observe(failure.Task);
        var stopping = new TaskCompletionSource();
        await using var registration = gateway.Stopping.Register(stopping.SetResult);

        await gateway.StartAsync(TestContext.Current.CancellationToken);
        Assert.False(gateway.Stopping.IsCancellationRequested);

        failure.SetException(new InvalidOperationException("a bug"));

        await stopping.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
    }

    /// <summary>A gateway that stopped closed its listeners at once: load balancers still sent requests there.</summary>
    [Fact]
    public async Task PrepareStop_LameDuck_ReportsNotReadyAndStillServes()
    {
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        await using var gateway = GatewayApp.Build(
            Options with { ExpectedReplicas = 0, LameDuck = TimeSpan.FromSeconds(5) }, builder => builder.Services.AddSingleton<TimeProvider>(time));
        await gateway.StartAsync(TestContext.Current.CancellationToken);
        using var http = new HttpClient { BaseAddress = new Uri($"http://{gateway.Http}") };
        Assert.Equal("ready (0 of 0 expected replicas, 0 draining)\n", await http.GetStringAsync(new Uri("/readyz", UriKind.Relative), TestContext.Current.CancellationToken));

        var preparing = gateway.PrepareStopAsync(TestContext.Current.CancellationToken);

        using var response = await http.GetAsync(new Uri("/readyz", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Equal("not ready: the gateway is stopping (0 of 0 expected replicas, 0 draining)\n", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.False(preparing.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(5));
        await preparing;
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    /// <summary>2,300 idle connections used all file descriptors, and the process aborted.</summary>
    [Fact]
    public async Task Connect_MoreThanMaxConnections_ClosesTheNewOneAndKeepsTheOthers()
    {
        await using var gateway = GatewayApp.Build(Options with { ExpectedReplicas = 0, MaxConnections = 2 });
        await gateway.StartAsync(TestContext.Current.CancellationToken);
        using var first = await AskAsync(gateway.Http);
        using var second = await AskAsync(gateway.Http);

        using var third = new System.Net.Sockets.TcpClient();
        // Both ports together.
        Assert.Equal(0, await ReadAsync(third, gateway.Grpc));
        await AskAsync(first);
        await gateway.StopAsync(new CancellationToken(canceled: true));
    }

    /// <returns>Bytes that came; 0: the server closed or reset the connection, which it may do before the client has noticed that it is open.</returns>
    private static async Task<int> ReadAsync(System.Net.Sockets.TcpClient client, IPEndPoint endpoint)
    {
        try
        {
            await client.ConnectAsync(endpoint, TestContext.Current.CancellationToken);
            return await client.GetStream().ReadAsync(new byte[1], TestContext.Current.CancellationToken);
        }
        catch (Exception closed) when (closed is System.Net.Sockets.SocketException or IOException or InvalidOperationException)
        {
            return 0;
        }
    }

    private static async Task<System.Net.Sockets.TcpClient> AskAsync(IPEndPoint endpoint)
    {
        var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(endpoint, TestContext.Current.CancellationToken);
        await AskAsync(client);
        return client;
    }

    private static async Task AskAsync(System.Net.Sockets.TcpClient client)
    {
        await client.GetStream().WriteAsync("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.True(await client.GetStream().ReadAsync(new byte[4096], TestContext.Current.CancellationToken) > 0);
    }

    [Fact]
    public async Task Build_PolicyOfAnotherAssembly_IsFoundByItsName()
    {
        var options = Options with { Admission = new AdmissionOptions { Policy = "first-candidate" } };
        Assert.Throws<ArgumentException>(() => GatewayApp.Build(options));

        await using var byOptions = GatewayApp.Build(options with { Policies = [new FirstCandidate()] });
        await using var byServices = GatewayApp.Build(options, builder => builder.Services.AddSingleton<IBalancingPolicy, FirstCandidate>());
    }

    private sealed class FirstCandidate : IBalancingPolicy
    {
        public string Name => "first-candidate";

        public int Pick(in PickContext context) => 0;
    }
}
