using System.Collections;
using System.CommandLine;
using Skein.Cli.Members;
using Skein.Cli.Settings;

namespace Skein.Cli.Tests.Settings;

public class EngineSettingsTests
{
    [Theory]
    [InlineData("", 30)]
    [InlineData("--engine-patience 10s", 30)]
    [InlineData("--engine-patience 5m", 300)]
    public void ServerOptions_AnyPatience_NoCallEndsBeforeIt(string flags, int seconds)
    {
        var command = new Command("test");
        foreach (ISetting setting in EngineSettings.OfServers)
            command.Options.Add(setting.Option);
        var sources = new SettingSources(command.Parse(flags), new Hashtable(), path: null);

        var options = EngineSettings.ServerOptions(new Uri("http://127.0.0.1:1"), sources, slots: null);

        Assert.Equal(TimeSpan.FromSeconds(seconds), options.CallTimeout);
    }
}
