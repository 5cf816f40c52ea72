using System.Text.Json;
using Skein.EndToEnd.Support;

namespace Skein.Conformance.Gateways;

/// <summary>A gateway and a replica, each a process.</summary>
internal sealed class GatewayWithReplica : IAsyncDisposable
{
    private readonly SkeinProcess _gateway;
    private readonly SkeinProcess _replica;

    private GatewayWithReplica(SkeinProcess gateway, SkeinProcess replica, string http) => (_gateway, _replica, Http) = (gateway, replica, http);

    public string Http { get; }

    /// <summary>Starts them, and waits until the gateway serves.</summary>
    /// <param name="engine">What the replica runs.</param>
    public static async Task<GatewayWithReplica> StartAsync(string engine)
    {
        var gateway = SkeinProcess.Start("gateway", "--http", "0", "--grpc", "0", "--gossip", "0", "--expected-replicas", "1");
        SkeinProcess? replica = null;
        try
        {
            var up = await gateway.LineAsync("is up: HTTP on ");
            replica = SkeinProcess.Start("replica", "--engine", engine, "--grpc", "0", "--gossip", "0", "--join", up.Split("gossip on ")[1].Split(';')[0]);
            var group = new GatewayWithReplica(gateway, replica, up.Split("HTTP on ")[1].Split(',')[0].TrimEnd('/'));
            using var client = new HttpClient();
            await Until.FoundAsync(
                async () => (await client.GetAsync($"{group.Http}/readyz")).IsSuccessStatusCode ? "ready" : null, "the gateway is ready", Until.StartTimeout,
                () => group._gateway.Errors + group._replica.Errors);
            return group;
        }
        catch
        {
            await gateway.DisposeAsync();
            if (replica is not null)
                await replica.DisposeAsync();
            throw;
        }
    }

    /// <returns>The first model that a gateway serves.</returns>
    public static async Task<string> ModelAsync(string http)
    {
        using var client = new HttpClient();
        using var models = JsonDocument.Parse(await client.GetStringAsync($"{http}/v1/models"));
        return models.RootElement.GetProperty("data")[0].GetProperty("id").GetString()!;
    }

    public async ValueTask DisposeAsync()
    {
        await _gateway.DisposeAsync();
        await _replica.DisposeAsync();
    }
}
