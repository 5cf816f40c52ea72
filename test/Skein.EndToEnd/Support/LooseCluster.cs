using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd.Support;

/// <summary>A gateway and replicas with the simulated engine, each a process without a supervisor: a member that ends is not restarted.</summary>
/// <param name="Gateway">The gateway.</param>
/// <param name="Client">For the gateway.</param>
internal sealed record LooseCluster(SkeinProcess Gateway, HttpClient Client) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, SkeinProcess> _replicas = new(StringComparer.Ordinal);

    /// <summary>The newest process of each name.</summary>
    public IReadOnlyDictionary<string, SkeinProcess> Replicas => _replicas;


    private string Seed { get; set; } = "";

    /// <summary>Starts it and waits until the gateway sees all.</summary>
    /// <param name="replicas">Their names.</param>
    /// <param name="replicaFlags">Flags of each.</param>
    /// <param name="gatewayFlags">Flags of the gateway.</param>
    public static async Task<LooseCluster> StartAsync(string[] replicas, string[] replicaFlags, params string[] gatewayFlags)
    {
        var gateway = SkeinProcess.Start(
            ["gateway", "--http", "0", "--grpc", "0", "--gossip", "0", "--expected-replicas", $"{replicas.Length}", .. gatewayFlags]);
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { Timeout = Timeout.InfiniteTimeSpan };
        var cluster = new LooseCluster(gateway, client);
        try
        {
            var up = await gateway.LineAsync("is up: HTTP on ");
            client.BaseAddress = new Uri(up.Split("HTTP on ")[1].Split(',')[0]);
            cluster.Seed = up.Split("gossip on ")[1].Split(';')[0];
            foreach (var name in replicas)
                cluster.StartReplica(name, replicaFlags);
            await Until.FoundAsync(
                async () => (await client.GetAsync("/readyz")).IsSuccessStatusCode ? "ready" : null, "the gateway is ready", Until.StartTimeout, cluster.Logs);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a member, or restarts one that has ended.</summary>
    public void StartReplica(string name, params IEnumerable<string> flags) => _replicas[name] = SkeinProcess.Start(
        ["replica", "--name", name, "--engine", "simulated", "--grpc", "0", "--gossip", "0", "--join", Seed, .. flags]);

    public async Task<MemberRow[]> MembersAsync() => await Client.GetFromJsonAsync<MemberRow[]>("/admin/v1/members", JsonSerializerOptions.Web) ?? [];

    /// <summary>The row of a member once it meets a condition.</summary>
    public Task<MemberRow> MemberAsync(string name, Func<MemberRow, bool> isWanted, string what) => Until.FoundAsync(
        async () => (await MembersAsync()).SingleOrDefault(row => row.Name == name && isWanted(row)), $"{name} {what}", context: Logs);

    public async Task<Answer> AskToEndAsync(Question question)
    {
        await using var stream = await HttpAnswerStream.AskAsync(Client, question);
        return await stream.ReadToEndAsync();
    }

    /// <summary>The logs of the processes, for the message of a failure.</summary>
    public string Logs() => string.Join("\n---\n", Replicas.Values.Prepend(Gateway).Select(static process => process.Errors));

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Gateway.DisposeAsync();
        foreach (var replica in Replicas.Values)
            await replica.DisposeAsync();
    }
}
