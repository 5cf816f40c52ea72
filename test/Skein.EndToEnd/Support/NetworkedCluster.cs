using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Skein.Gateway.Admin;
using Skein.Load.Chaos.Network;
using Skein.Membership.Tests.Network;

namespace Skein.EndToEnd.Support;

/// <summary>A gateway and replicas with the simulated engine, each in a network namespace of its own: the link between them can be cut.</summary>
internal sealed class NetworkedCluster : IAsyncDisposable
{
    private readonly List<SkeinProcess> _processes = [];
    private const int GatewayHost = 0;
    private const string Gossip = "7946";
    private const string Http = "8080";

    private NetworkedCluster(Cable cable)
    {
        Cable = cable;
        var gateway = cable.Hosts[GatewayHost];
        Client = new HttpClient(new SocketsHttpHandler
        {
            UseProxy = false,
            // The client is in the gateway's network: only the replicas are behind the link.
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = await gateway.RunAsync(static () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
                await socket.ConnectAsync(IPEndPoint.Parse($"{gateway.Address}:{Http}"), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            },
        })
        { BaseAddress = new Uri($"http://{gateway.Address}:{Http}"), Timeout = Timeout.InfiniteTimeSpan };
    }

    public Cable Cable { get; }

    /// <summary>For the gateway.</summary>
    public HttpClient Client { get; }

    /// <summary>Starts it and waits until the gateway sees all; skips the test if network namespaces are not available.</summary>
    public static async Task<NetworkedCluster> StartOrSkipAsync(int replicas)
    {
        var cluster = new NetworkedCluster(await CableOrSkip.CreateAsync(1 + replicas, seed: 1));
        try
        {
            await cluster.StartAsync(GatewayHost, "gateway", "--name", "gateway-1", "--http", Http, "--grpc", "8081");
            for (var i = 1; i <= replicas; i++)
                await cluster.StartAsync(
                    i, "replica", "--name", NameOf(i), "--engine", "simulated", "--tokens-per-second", "40", "--grpc", "8090",
                    "--join", $"{cluster.Cable.Hosts[GatewayHost].Address}:{Gossip}");
            await Until.FoundAsync(
                async () => (await cluster.MembersAsync()).Count(static row => row.State == "alive") == 1 + replicas ? "yes" : null,
                "all members alive", Until.StartTimeout, cluster.Logs);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Drops every packet between the gateway and that replica, or stops dropping them. No process is notified.</summary>
    public void Cut(string replica, bool isCut)
    {
        var host = 1 + Enumerable.Range(1, Cable.Hosts.Count - 1).Select(NameOf).ToList().IndexOf(replica);
        Cable.Passes = (from, to) => !isCut || !(from == GatewayHost && to == host || from == host && to == GatewayHost);
    }

    public async Task<IReadOnlyList<MemberRow>> MembersAsync()
    {
        using var timeout = new CancellationTokenSource(Until.DefaultTimeout, TimeProvider.System);
        try
        {
            return await Client.GetFromJsonAsync<MemberRow[]>("/admin/v1/members", JsonSerializerOptions.Web, timeout.Token) ?? [];
        }
        catch (HttpRequestException)
        {
            // The gateway is not up yet.
            return [];
        }
    }

    /// <summary>The logs of the processes, for the message of a failure.</summary>
    public string Logs() => string.Join("\n---\n", _processes.Select(static process => process.Errors));

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        foreach (var process in _processes)
            await process.DisposeAsync();
        Cable.Dispose();
    }

    private static string NameOf(int replica) => $"replica-{replica}";

    private async Task StartAsync(int host, string verb, params string[] flags)
    {
        var network = Cable.Hosts[host];
        string[] all = [verb, .. flags, "--bind", $"{network.Address}", "--gossip", Gossip, "--insecure"];
        _processes.Add(await network.RunAsync(() => SkeinProcess.Start(all)));
    }
}
