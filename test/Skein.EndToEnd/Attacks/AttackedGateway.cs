using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using Skein.EndToEnd.Support;
using Skein.Gateway.Keys;

namespace Skein.EndToEnd.Attacks;

/// <summary>
/// A gateway process with a replica and API keys, which the attacks share. After each one it must serve as before: that its process lives is not enough.
/// </summary>
public sealed class AttackedGateway : IAsyncLifetime
{
    public const string Name = "attacks";

    public const int MostConnections = 1000;

    /// <summary>An honest client's wait under attack, on a busy machine too. Without a mend it was 8 s, or forever.</summary>
    private static readonly TimeSpan Honest = TimeSpan.FromSeconds(5);

    /// <summary>What an attack may leave in memory: code that was compiled, and buffers of connections.</summary>
    private const long MostLeftBytes = 200 << 20;

    private readonly string _secret = ApiKey.NewSecret();
    private readonly string _keyFile = Path.Combine(Path.GetTempPath(), $"skein-attacks-{Guid.NewGuid():N}.json");
    private LooseCluster? _cluster;

    internal LooseCluster Cluster
    {
        get
        {
            Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: processes as /proc tells them");
            return _cluster!;
        }
    }

    public IPEndPoint Http { get; private set; } = null!;

    public IPEndPoint Grpc { get; private set; } = null!;

    public string Secret => _secret;

    public async ValueTask InitializeAsync()
    {
        if (!OperatingSystem.IsLinux())
            return;
        await File.WriteAllTextAsync(_keyFile, new ApiKeyRing([new ApiKey { Name = "honest", Hash = ApiKey.HashOf(_secret), Admin = true }]).ToJson());
        _cluster = await LooseCluster.StartAsync(["one"], ["--tokens-per-second", "200"], "--api-key-file", _keyFile, "--max-connections", $"{MostConnections}", "--name", "g");
        _cluster.Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", _secret);
        var banner = await _cluster.Gateway.LineAsync("g is up: HTTP on ");
        Http = IPEndPoint.Parse(_cluster.Client.BaseAddress!.Authority);
        Grpc = IPEndPoint.Parse(banner.Split("gRPC on ")[1].Split(',')[0]);
        await HonestAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
            await _cluster.DisposeAsync();
        File.Delete(_keyFile);
    }

    /// <summary>Attacks while an honest client asks again and again, and checks what is left.</summary>
    internal async Task WithstandsAsync(Func<Task> attack)
    {
        var before = ResidentBytes();
        using var over = new CancellationTokenSource();
        var honest = AskUntilAsync(over.Token);
        try
        {
            await attack().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System);
        }
        finally
        {
            await over.CancelAsync();
        }
        Assert.True(await honest > 0, "no honest request was served under attack");
        await HonestAsync();
        Assert.InRange(ResidentBytes() - before, long.MinValue, MostLeftBytes);
        var metrics = await Cluster.Client.GetStringAsync("/metrics");
        Assert.Equal(0, Metric.Sum(metrics, "skein_breaker_ejections"));
        Assert.Equal("alive", (await Cluster.MembersAsync()).Single(member => member.Role == "replica").State);
    }

    /// <summary>Waits until an honest client is served.</summary>
    internal Task IsServedAgainAsync() => Until.FoundAsync(
        async () =>
        {
            try
            {
                await HonestAsync();
                return "served";
            }
            catch (HttpRequestException)
            {
                return null;
            }
        },
        "an honest client is served again", context: Cluster.Logs);

    /// <summary>A connection to the HTTP port. Closed by the test.</summary>
    internal async Task<TcpClient> ConnectAsync(IPEndPoint? to = null)
    {
        var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(to ?? Http);
        return client;
    }

    /// <summary>Sends bytes, and reads until the gateway closes or a moment passes without any.</summary>
    internal async Task<string> SendAsync(ReadOnlyMemory<byte> bytes, TimeSpan? moment = null)
    {
        try
        {
            using var client = await ConnectAsync();
            return await SendAsync(client, bytes, moment);
        }
        catch (Exception refused) when (refused is SocketException or InvalidOperationException)
        {
            // Refused, or closed so soon that the connection was never seen open: then there is no stream.
            return "";
        }
    }

    internal static async Task<string> SendAsync(TcpClient client, ReadOnlyMemory<byte> bytes, TimeSpan? moment = null)
    {
        var answer = new System.Text.StringBuilder();
        var sending = client.GetStream().WriteAsync(bytes).AsTask();
        var buffer = new byte[16 << 10];
        try
        {
            while (true)
            {
                using var quiet = new CancellationTokenSource(moment ?? TimeSpan.FromSeconds(2), TimeProvider.System);
                var read = await client.GetStream().ReadAsync(buffer, quiet.Token);
                if (read == 0)
                    return answer.ToString();
                answer.Append(System.Text.Encoding.Latin1.GetString(buffer, 0, read));
            }
        }
        catch (Exception end) when (end is IOException or OperationCanceledException)
        {
            // Reset by the gateway, or nothing came.
            return answer.ToString();
        }
        finally
        {
            await sending.WaitAsync(TimeSpan.FromMilliseconds(1), TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<int> AskUntilAsync(CancellationToken over)
    {
        var served = 0;
        while (!over.IsCancellationRequested)
        {
            await HonestAsync();
            served++;
        }
        return served;
    }

    private async Task HonestAsync()
    {
        var answer = await Cluster.AskToEndAsync(new Question("Are you well?", MaxTokens: 4)).WaitAsync(Honest, TimeProvider.System);
        Assert.Equal(4, answer.CompletionTokens);
    }

    private long ResidentBytes()
    {
        var line = File.ReadLines($"/proc/{Cluster.Gateway.Handle.Pid}/status").First(line => line.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
    }
}

[CollectionDefinition(AttackedGateway.Name)]
public sealed class AttackCollection : ICollectionFixture<AttackedGateway>;
