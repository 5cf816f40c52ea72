using Skein.Cli.Commands;
using Skein.Cli.Configuration;

namespace Skein.Cli.Tests.Configuration;

/// <summary>Files in the tree that are made from the settings. With SKEIN_WRITE_GENERATED=1 these tests write them.</summary>
public sealed class GeneratedFilesTests
{
    [Fact]
    public void Schema_IsThatOfTheGateway() => Hold("deploy/skein.schema.json", ConfigurationSchema.Of(GatewayCommand.Settings) + "\n");

    [Fact]
    public void SettingsPage_HasEverySettingAsItIs() => Hold("docs/reference/settings.md", SettingsPage.Text());

    /// <summary>A setting without an explanation.</summary>
    [Fact]
    public void ConfigurationPage_ExplainsEveryFlag()
    {
        var page = File.ReadAllText(Path.Combine(Root(), "docs/reference/configuration.md"));

        Assert.Empty(GatewayCommand.Settings.Concat(ReplicaCommand.Settings).Where(setting => !setting.Option.Hidden)
            .Select(setting => setting.Option.Name).Where(flag => !page.Contains($"`{flag}", StringComparison.Ordinal)).Distinct(StringComparer.Ordinal));
    }

    private static void Hold(string file, string text)
    {
        var path = Path.Combine(Root(), file);
        text = text.ReplaceLineEndings("\n");
        if (Environment.GetEnvironmentVariable("SKEIN_WRITE_GENERATED") == "1")
            File.WriteAllText(path, text);
        Assert.True(
            File.ReadAllText(path).ReplaceLineEndings("\n") == text,
            $"{file} is out of date: SKEIN_WRITE_GENERATED=1 dotnet test --project test/Skein.Cli.Tests --filter-class '*GeneratedFilesTests' writes it");
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Skein.slnx")))
            folder = folder.Parent ?? throw new DirectoryNotFoundException("no folder above the tests has Skein.slnx");
        return folder.FullName;
    }
}
