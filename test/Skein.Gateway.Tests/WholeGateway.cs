using System.Net;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests;

/// <summary>Base of tests that ask a whole gateway on loopback, without replicas.</summary>
public abstract class WholeGateway : IAsyncLifetime
{
    private HttpClient? _client;

    protected WholeGateway(ApiOptions? api = null)
    {
        var options = new GatewayOptions { Http = new(IPAddress.Loopback, 0), Grpc = new(IPAddress.Loopback, 0) };
        Gateway = GatewayApp.Build(api is null ? options : options with { Api = api });
    }

    protected GatewayApp Gateway { get; }

    protected HttpClient Client => _client!;

    public async ValueTask InitializeAsync()
    {
        await Gateway.StartAsync(TestContext.Current.CancellationToken);
        _client = new HttpClient { BaseAddress = new Uri($"http://{Gateway.Http}"), Timeout = TimeSpan.FromSeconds(30) };
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        _client?.Dispose();
        await Gateway.StopAsync(new CancellationToken(canceled: true));
        await Gateway.DisposeAsync();
    }
}
