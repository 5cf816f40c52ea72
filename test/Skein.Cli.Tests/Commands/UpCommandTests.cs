using System.Collections;
using System.CommandLine;
using Skein.Cli.Commands;
using Skein.Cli.Settings;

namespace Skein.Cli.Tests.Commands;

public class UpCommandTests
{
    /// <summary>Three replicas in front of one server sent it three times what it can run.</summary>
    [Theory]
    [InlineData(1, "--engine http://127.0.0.1:1")]
    [InlineData(2, "--engine http://127.0.0.1:1 --engine http://127.0.0.1:2")]
    [InlineData(3, "--engine simulated")]
    [InlineData(3, "")]
    [InlineData(2, "--replicas 2")]
    public void Specs_Replicas_AreOneForEachServer(int replicas, string flags)
    {
        var command = new Command("up");
        foreach (var setting in UpCommand.Settings)
            command.Options.Add(setting.Option);

        var specs = UpCommand.Specs(new SettingSources(command.Parse(flags), UpCommand.Settings, new Hashtable(), path: null));

        Assert.Equal(replicas, specs.Count(spec => spec.Name.StartsWith("replica", StringComparison.Ordinal)));
    }
}
