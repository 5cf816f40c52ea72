using Skein.Cli.Configuration;
using Skein.Cli.Settings;
using Skein.Cli.Terminal;
using Spectre.Console;

namespace Skein.Cli.Commands;

/// <summary><c>skein config</c>: checks and shows the configuration of a gateway.</summary>
internal static class ConfigCommand
{
    private const string DefaultFile = "skein.json";

    private static readonly string[] Columns = ["KEY", "VALUE", "FROM"];

    private static readonly Argument<string?> ConfigFile = new("file")
    {
        Description = $"The configuration file [default: --config, or {DefaultFile} in this folder]", Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Setting<bool> Effective = Setting.Flag("effective", "Show the settings that nobody set too, with their defaults");

    public static Command Create() => new("config", """
        Check and show the configuration of a gateway

        Both read flags, SKEIN_… variables and the file as 'skein gateway' does.
        """)
    {
        CommandLine.Verb(
            "check", "Check a file, and the files that it names, as 'skein gateway' would at its start", GatewayCommand.Settings, CheckAsync, ConfigFile),
        CommandLine.Verb("show", "Print the settings and where each comes from", [.. GatewayCommand.Settings, Effective, CommandOutput.Json], Show, ConfigFile),
        CommandLine.Verb("schema", "Print the JSON schema of the file, for editors and tests", [], Schema),
    };

    private static async Task<int> CheckAsync(SettingSources sources)
    {
        sources = WithFile(sources);
        if (sources.Path is null)
            throw new UsageException($"no file is given, and there is no {DefaultFile} here; allowed: skein config check FILE");
        var configuration = GatewayCommand.Read(sources);
        // The gateway's own checks. It is not started.
        await using var gateway = GatewayCommand.Build(configuration);
        var keys = configuration.Keys is { } keyFiles ? $"{keyFiles.Ring.Keys.Count} API keys" : "no API keys";
        Console.WriteLine($"{sources.Path} is valid: {configuration.Upstreams.Count} upstreams, {configuration.Options.Aliases.Count} aliases, {keys}");
        var fixedKeys = GatewayCommand.Settings.Where(setting => !setting.IsLive && sources.Find(setting) is not null).Select(setting => setting.Key).ToList();
        Console.WriteLine(fixedKeys.Count > 0
            ? $"a gateway that runs needs a restart to use a change of: {string.Join(", ", fixedKeys.Order(StringComparer.Ordinal))}; of others it needs none"
            : "a gateway that runs uses a change of any of these at once");
        return CommandLine.Success;
    }

    private static Task<int> Show(SettingSources sources)
    {
        sources = WithFile(sources);
        List<SettingRow> rows = [.. SettingRow.Of(sources, GatewayCommand.Settings, Effective.Read(sources))];
        CommandOutput.Print(sources, rows, () =>
        {
            var table = new Table().Border(TableBorder.None);
            foreach (var column in Columns)
                table.AddColumn(new TableColumn(column) { NoWrap = true, Padding = new Padding(0, 0, 2, 0) });
            foreach (var row in rows)
                table.AddRow(Markup.Escape(row.Key), Markup.Escape(row.Value ?? "-"), Markup.Escape(row.Origin));
            if (Console.IsOutputRedirected)
                AnsiConsole.Profile.Width = 400;
            AnsiConsole.Write(table);
        });
        return Task.FromResult(CommandLine.Success);
    }

    private static Task<int> Schema(SettingSources sources)
    {
        Console.WriteLine(ConfigurationSchema.Of(GatewayCommand.Settings));
        return Task.FromResult(CommandLine.Success);
    }

    private static SettingSources WithFile(SettingSources sources) =>
        sources.Find(ConfigFile) is { } file ? sources.WithFile(file)
        : sources.Path is null && File.Exists(DefaultFile) ? sources.WithFile(DefaultFile)
        : sources;
}
