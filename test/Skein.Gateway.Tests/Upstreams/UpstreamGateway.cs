using System.Net;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Skein.Engines;
using Skein.Gateway.Admin;
using Skein.Gateway.Group;
using Skein.Gateway.Links.InProcess;
using Skein.Gateway.Tests.Links;
using Skein.Gateway.Upstreams;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Upstreams;

/// <summary>A gateway without a group, whose upstreams are added while it runs.</summary>
public abstract class UpstreamGateway : IAsyncLifetime
{
    private protected static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private protected readonly KeyedEngine _engine = new() { Slots = 3 };
    private protected readonly GatewayApp _gateway = GatewayApp.Build(new GatewayOptions
    {
        Http = new IPEndPoint(IPAddress.Loopback, 0), Grpc = new IPEndPoint(IPAddress.Loopback, 0), StopTimeout = TimeSpan.Zero,
    });

    private protected FleetTracker Fleet => _gateway.Services.GetRequiredService<FleetTracker>();

    public async ValueTask InitializeAsync() => await _gateway.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _gateway.StopAsync();
        await _gateway.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected static UpstreamOptions Of(string name, KeyedEngine engine) => new() { Name = name, ConnectAsync = _ => Task.FromResult<IInferenceEngine>(engine) };

    private protected MemberStatus Status(string name) =>
        _gateway.Services.GetRequiredService<IMemberDirectory>().Members.Single(member => member.Name == name);

    private protected async Task<string> AskAsync(string prompt, GatewayApp? gateway = null)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var response = await http.PostAsJsonAsync($"http://{(gateway ?? _gateway).Http}/v1/completions", new { model = "m", prompt, max_tokens = 9 });
        return await response.Content.ReadAsStringAsync();
    }

    private protected Task FleetAsync(params string[] names) =>
        UntilAsync(
            () => Fleet.Current.Replicas.Select(replica => replica.Id.Name).Order(StringComparer.Ordinal).SequenceEqual(names),
            $"a fleet of [{string.Join(", ", names)}]");

    private protected static async Task UntilAsync(Func<bool> holds, string what)
    {
        using var deadline = new CancellationTokenSource(Deadline, TimeProvider.System);
        while (!holds())
        {
            Assert.False(deadline.IsCancellationRequested, $"no {what} within {Deadline.TotalSeconds:0} s");
            await Task.Yield();
        }
    }
}
