using System.Collections;
using System.CommandLine;
using Skein.Cli.Commands;
using Skein.Cli.Configuration;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;

namespace Skein.Cli.Tests.Commands;

public sealed class ConfigCommandTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"skein-{Guid.NewGuid():N}.json");

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData("""{"$schema": "skein.schema.json", "queueLength": 5, "upstreams": [{"url": "http://a:1"}]}""", 0, "")]
    [InlineData("""{"queueLength": "x"}""", 2, "skein: 'queueLength' in {file} 'x' is not allowed; allowed: a whole number from 0 to 1000000")]
    [InlineData("""{"tlsCert": "/no/such.pem", "tlsKey": "/no/such.key"}""", 2, "skein: --tls-cert /no/such.pem cannot be used: ")]
    [InlineData("""{"bind": "0.0.0.0", "advertise": "10.0.0.1"}""", 2, "skein: --bind 0.0.0.0 opens this member to the network without protection; missing: ")]
    [InlineData("""{"maxJournal": "2GiB"}""", 2, "skein: 'maxJournal' in {file} '2GiB' is not allowed")]
    public async Task Check_File_SaysWhatTheGatewayWouldSay(string content, int exitCode, string message)
    {
        await File.WriteAllTextAsync(_file, content, TestContext.Current.CancellationToken);
        using var error = new StringWriter();

        Assert.Equal(exitCode, await CommandLine.RunAsync(SkeinCommand.Create(), ["config", "check", _file], error));

        Assert.StartsWith(message.Replace("{file}", _file, StringComparison.Ordinal), error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Of_EachSource_TellsTheOriginOfEachValue()
    {
        File.WriteAllText(
            _file, """{"queueLength": 5, "alias": ["a=m", "b=n"], "upstreams": [{"url": "http://h:1", "headers": {"x-team": "secret"}}], "policy": "random"}""");
        var command = new Command("show");
        foreach (var setting in GatewayCommand.Settings)
            command.Options.Add(setting.Option);
        var sources = new SettingSources(
            command.Parse("--queue-length 9"), GatewayCommand.Settings, new Hashtable { ["SKEIN_QUEUE_TIMEOUT"] = "90s" }, _file);

        var rows = SettingRow.Of(sources, GatewayCommand.Settings, isEffective: true).ToDictionary(row => row.Key, StringComparer.Ordinal);

        Assert.Equal(("9", "--queue-length"), (rows["queueLength"].Value, rows["queueLength"].Origin));
        Assert.Equal(("1.5m", "SKEIN_QUEUE_TIMEOUT"), (rows["queueTimeout"].Value, rows["queueTimeout"].Origin));
        Assert.Equal(("a=m,b=n", _file), (rows["alias"].Value, rows["alias"].Origin));
        Assert.Equal(("random", _file), (rows["policy"].Value, rows["policy"].Origin));
        Assert.Equal(("8080", "default"), (rows["http"].Value, rows["http"].Origin));
        Assert.Equal(("lan", "default"), (rows["profile"].Value, rows["profile"].Origin));
        Assert.Equal(("1GiB", "default"), (rows["maxBodyMemory"].Value, rows["maxBodyMemory"].Origin));
        Assert.Equal(("5m", "default"), (rows["engineSilence"].Value, rows["engineSilence"].Origin));
        Assert.Equal(("2s", "default"), (rows["engineTimeout"].Value, rows["engineTimeout"].Origin));
        Assert.Equal(("http://h:1", _file), (rows["upstreams[0].url"].Value, rows["upstreams[0].url"].Origin));
        Assert.Equal("x-team=…", rows["upstreams[0].headers"].Value);
        Assert.Equal((true, false), (rows["queueLength"].Live, rows["http"].Live));
        Assert.DoesNotContain(SettingRow.Of(sources, GatewayCommand.Settings, isEffective: false), row => row.Origin == "default");
    }
}
