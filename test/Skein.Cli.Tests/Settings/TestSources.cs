using System.CommandLine;
using Skein.Cli.Settings;

namespace Skein.Cli.Tests.Settings;

/// <summary>Sources of settings for tests: flags and variables.</summary>
internal static class TestSources
{
    public static SettingSources Of(IReadOnlyList<ISetting> settings, string flags, params (string Name, string Value)[] environment)
    {
        var command = new Command("test");
        foreach (var setting in settings)
            command.Options.Add(setting.Option);
        return new SettingSources(command.Parse(flags), settings, environment.ToDictionary(), path: null);
    }
}
