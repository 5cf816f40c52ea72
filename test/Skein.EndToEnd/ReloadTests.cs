using Skein.EndToEnd.Support;
using static Skein.EndToEnd.Support.Metric;

namespace Skein.EndToEnd;

/// <summary>The configuration file of a gateway process.</summary>
public sealed class ReloadTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"skein-{Guid.NewGuid():N}.json");

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task Config_RefusedThenMended_IsInStatusLogAndMetricAndThenInUse()
    {
        await using var first = await FakeUpstream.StartAsync(new Fuse());
        await using var second = await FakeUpstream.StartAsync(new Fuse());
        await WriteAsync("{}");
        await using var gateway = await UpstreamGateway.StartAsync([first.Url], "--config", _file);
        await gateway.MemberAsync(first.Name, "alive");

        await WriteAsync($$"""{"upstreams": [{"url": "{{second.Url}}", "name": "second"}], "queueLength": "many"}""");

        var row = await Until.FoundAsync(
            async () => await gateway.MemberAsync("g", "alive") is { Reason.Length: > 0 } refused ? refused : null, "the refusal in the member's row");
        Assert.Equal($"configuration refused: 'queueLength' in {_file} 'many' is not allowed; allowed: a whole number from 0 to 1000000", row.Reason);
        Assert.Equal(0, Sum(await gateway.Client.GetStringAsync("/metrics"), "skein_config_valid"));
        var status = await SkeinProcess.RunAsync("status", "--gateway", gateway.Client.BaseAddress!.ToString());
        Assert.Contains($"g: {row.Reason}", status.Output, StringComparison.Ordinal);
        await gateway.Process.LineAsync("[4011] The changed configuration is refused");
        Assert.DoesNotContain("second", status.Output, StringComparison.Ordinal);

        await WriteAsync($$"""{"upstreams": [{"url": "{{second.Url}}", "name": "second"}], "queueLength": 9}""");

        await gateway.MemberAsync("second", "alive");
        await Until.FoundAsync(
            async () => Sum(await gateway.Client.GetStringAsync("/metrics"), "skein_config_valid") == 1 ? "valid" : null, "the metric says that it is in use");
        Assert.Empty((await gateway.MemberAsync("g", "alive")).Reason);
        Assert.Equal("alive", (await gateway.MemberAsync(first.Name, "alive")).State);
    }

    // As editors do it: a reader sees the old file or the new one.
    private async Task WriteAsync(string content)
    {
        await File.WriteAllTextAsync(_file + ".new", content);
        File.Move(_file + ".new", _file, overwrite: true);
    }
}
