using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Skein.EndToEnd.Support;
using static Skein.EndToEnd.Support.Metric;

namespace Skein.EndToEnd;

/// <summary>Logs that cannot be written, and what is in them.</summary>
public class LogTests
{
    /// <summary>The gateway aborted at its start when the disk was full.</summary>
    [Fact]
    public async Task StandardError_DiskIsFull_GatewayStartsServesAndCountsTheLostLines()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "needs Linux: /dev/full");
        await using var gateway = await RawGateway.StartAsync("2>/dev/full", readsErrors: true, "--log", "debug");

        Assert.Equal("alive\n", await gateway.Client.GetStringAsync("/livez"));
        await Until.FoundAsync(
            async () => Sum(await gateway.Client.GetStringAsync("/metrics"), "skein_log_dropped", "log=\"log\"") > 0 ? "lost" : null, "lost lines are counted");
    }

    /// <summary>With a standard error that nobody reads, all requests hung once the pipe and the queue were full.</summary>
    [Fact]
    public async Task StandardError_NobodyReadsIt_RequestsAreServedAndLinesAreDropped()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: a shell");
        await using var gateway = await RawGateway.StartAsync("", readsErrors: false, "--log", "debug");

        var dropped = await Until.FoundAsync(
            async () =>
            {
                for (var i = 0; i < 100; i++)
                    Assert.Equal("alive\n", await Until.DoneAsync(gateway.Client.GetStringAsync("/livez"), "an answer"));
                return Sum(await gateway.Client.GetStringAsync("/metrics"), "skein_log_dropped", "log=\"log\"") is > 0 and var lines ? $"{lines}" : null;
            },
            "lines are dropped", TimeSpan.FromSeconds(60));

        Assert.NotEqual("0", dropped);
    }

    [Fact]
    public async Task AccessLog_StandardOutput_HasOneLineForEachRequest()
    {
        await using var upstream = await FakeUpstream.StartAsync(new Fuse());
        await using var gateway = await UpstreamGateway.StartAsync([upstream.Url], "--access-log", "-", "--log-format", "json");
        await gateway.MemberAsync(upstream.Name, "alive");

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent("""{"model":"counter","messages":[{"role":"user","content":"secret"}]}""", null, "application/json"),
        };
        request.Headers.Add("x-request-id", "req-7");
        using var answer = await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);

        var entry = JsonNode.Parse(await gateway.Process.LineAsync("req-7"))!;
        Assert.Equal(("chat", "counter", "completed"), ((string?)entry["operation"], (string?)entry["model"], (string?)entry["outcome"]));
        Assert.Equal("upstream-1", (string?)Assert.Single(entry["replicas"]!.AsArray()));
        Assert.DoesNotContain("secret", gateway.Process.Output + gateway.Process.Errors, StringComparison.Ordinal);
        Assert.All(gateway.Process.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.NotNull(JsonNode.Parse(line)!["message"]));
    }

    /// <summary>A gateway whose standard error is not read by the test's usual process.</summary>
    private sealed class RawGateway : IAsyncDisposable
    {
        private readonly Process _process;

        private RawGateway(Process process, int port)
        {
            _process = process;
            Client = new HttpClient(new SocketsHttpHandler { UseProxy = false })
            {
                BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")), Timeout = TimeSpan.FromSeconds(30),
            };
        }

        public HttpClient Client { get; }

        public static async Task<RawGateway> StartAsync(string redirection, bool readsErrors, params string[] flags)
        {
            var port = FreePort.Next();
            var program = Path.Combine(AppContext.BaseDirectory, "skein.dll");
            var command = string.Create(
                CultureInfo.InvariantCulture, $"exec dotnet exec '{program}' gateway --http {port} --grpc 0 --gossip 0 {string.Join(' ', flags)} {redirection}");
            var start = new ProcessStartInfo("sh", ["-c", command])
            {
                WorkingDirectory = Path.GetTempPath(), UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true,
            };
            var process = Process.Start(start)!;
            if (readsErrors)
                process.BeginErrorReadLine();
            var gateway = new RawGateway(process, port);
            try
            {
                await Until.FoundAsync(gateway.AliveAsync, "the gateway is up", Until.StartTimeout);
                return gateway;
            }
            catch
            {
                await gateway.DisposeAsync();
                throw;
            }
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            if (!_process.HasExited)
                _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        private async Task<string?> AliveAsync()
        {
            Assert.False(_process.HasExited, "the gateway ended at its start");
            try
            {
                return await Client.GetStringAsync("/livez");
            }
            catch (HttpRequestException)
            {
                return null;
            }
        }
    }
}
