using System.Net;
using Skein.EndToEnd.Support;

namespace Skein.EndToEnd.Attacks;

/// <summary>Hosts that give a gateway less than it expects.</summary>
public sealed class HostTests
{
    private const string WithoutIPv4 = "ip link set lo up && ip addr del 127.0.0.1/8 dev lo";

    /// <summary>A cluster, a gateway whose model server is that cluster, and a chat with the gateway.</summary>
    private const string Chain = WithoutIPv4 + """
         || exit 1
        "$@" up --port 8080 --engine simulated --replicas 1 &
        "$@" gateway --http 8090 --grpc 0 --gossip 0 --upstream 'http://[::1]:8080' &
        until "$@" chat --gateway 'http://[::1]:8090' Hello; do :; done
        wait
        """;

    /// <summary>2,300 idle connections used all file descriptors, and the process aborted.</summary>
    [Fact]
    public async Task IdleConnections_MoreThanTheLimitOfOpenFiles_AreClosedAndTheGatewayGoesOn()
    {
        SkipElsewhere();
        await using var gateway = SkeinProcess.StartUnder(
            ["sh", "-c", "ulimit -n 600 && exec \"$@\"", "sh"], "gateway", "--name", "g", "--http", "0", "--grpc", "0", "--gossip", "0");
        var url = new Uri((await gateway.LineAsync("g is up: HTTP on ")).Split("HTTP on ")[1].Split(',')[0]);
        using var honest = new HttpClient { BaseAddress = url };
        Assert.Equal("alive", (await honest.GetStringAsync("/livez")).Trim());

        using var idle = new ManyClients();
        for (var i = 0; i < 900; i++)
            await idle.TryAddAsync(new IPEndPoint(IPAddress.Loopback, url.Port));

        // On the connection that it has.
        Assert.Equal("alive", (await honest.GetStringAsync("/livez")).Trim());
        idle.Dispose();
        using var later = new HttpClient { BaseAddress = url };
        await Until.FoundAsync(() => AnswerAsync(later), "a new client is served", context: () => gateway.Errors);
        Assert.True(gateway.Handle.IsRunning, gateway.Errors);
    }

    [Theory]
    [InlineData("300", "skein: the limit of open files is 300; allowed: at least 512 (ulimit -n, LimitNOFILE)")]
    [InlineData("2000", "skein: --max-connections 1600 is more than the limit of open files leaves; allowed: up to 1500, or a higher limit (ulimit -n, LimitNOFILE)")]
    public async Task Start_LimitOfOpenFilesTooLow_IsRefusedInOneLine(string limit, string message)
    {
        SkipElsewhere();
        await using var gateway = SkeinProcess.StartUnder(
            ["sh", "-c", $"ulimit -n {limit} && exec \"$@\"", "sh"], "gateway", "--http", "0", "--grpc", "0", "--gossip", "0", "--max-connections", "1600");

        var end = await gateway.EndAsync(Until.StartTimeout);

        Assert.Equal((2, message), (end.ExitCode, end.ErrorLines[^1]));
    }

    /// <summary>The members listened on 127.0.0.1, which is not there.</summary>
    [Fact]
    public async Task UpAndUpstream_HostWithIPv6Only_Serve()
    {
        SkipElsewhere();
        await using var probe = new ProcessProbe("unshare", "-rn", "sh", "-c", WithoutIPv4);
        Assert.SkipUnless(await probe.SucceedsAsync(), "needs network namespaces: unshare -rn, ip");

        await using var host = SkeinProcess.StartUnder(["unshare", "-rn", "sh", "-c", Chain, "sh"]);

        Assert.Contains("HTTP on http://[::1]:", await host.LineAsync("Skein is up"), StringComparison.Ordinal);
        Assert.Contains("began on upstream-1", await host.LineAsync("[began on"), StringComparison.Ordinal);
    }

    private static async Task<string?> AnswerAsync(HttpClient client)
    {
        try
        {
            return await client.GetStringAsync("/livez");
        }
        catch (HttpRequestException)
        {
            // The gateway has not noticed yet that the idle ones are gone.
            return null;
        }
    }

    private static void SkipElsewhere() => Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux: limits and network namespaces");

    private sealed class ProcessProbe(string program, params string[] arguments) : IAsyncDisposable
    {
        private readonly System.Diagnostics.Process _process = new()
        {
            StartInfo = new(program, arguments) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true },
        };

        public async Task<bool> SucceedsAsync()
        {
            try
            {
                _process.Start();
            }
            catch (System.ComponentModel.Win32Exception)
            {
                return false;
            }
            await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return _process.ExitCode == 0;
        }

        public ValueTask DisposeAsync()
        {
            _process.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
