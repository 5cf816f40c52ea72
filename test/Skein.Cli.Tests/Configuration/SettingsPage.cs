using System.Text;
using System.Text.RegularExpressions;
using Skein.Cli.Commands;
using Skein.Cli.Settings;
using Skein.Cli.Upstreams;

namespace Skein.Cli.Tests.Configuration;

/// <summary>Writes docs/reference/settings.md from the settings.</summary>
internal static partial class SettingsPage
{
    public static string Text()
    {
        var page = new StringBuilder("""
            # All settings

            This page is made from the program. What the settings mean together is in [configuration.md](configuration.md).

            Each setting is a flag, a variable `SKEIN_` with the flag's words in capitals (`--queue-length`: `SKEIN_QUEUE_LENGTH`), and the key in the file. *Live*: a
            running gateway uses a changed value in its file without a restart.

            ## skein gateway


            """.ReplaceLineEndings("\n"));
        Table(page, GatewayCommand.Settings, isGateway: true);
        page.Append("\nMembers of an object in `upstreams`, all of them live:\n\n| member | default | |\n|---|---|---|\n");
        foreach (var (name, description, _) in UpstreamEntry.Documented)
            page.Append($"| `{name}` | {Cell(Default().Match(description).Groups["value"].Value)} | {Cell(Default().Replace(description, ""))} |\n");
        page.Append("\n## skein replica\n\n");
        Table(page, ReplicaCommand.Settings, isGateway: false);
        page.Append("\n## skein up\n\n");
        Table(page, UpCommand.Settings, isGateway: false);
        return page.ToString();
    }

    private static void Table(StringBuilder page, IReadOnlyList<ISetting> settings, bool isGateway)
    {
        page.Append(isGateway ? "| flag | key | default | allowed | live | |\n|---|---|---|---|---|---|\n" : "| flag | key | default | allowed | |\n|---|---|---|---|---|\n");
        foreach (var setting in settings.Where(setting => !setting.Option.Hidden).OrderBy(setting => setting.Key, StringComparer.Ordinal))
        {
            var description = setting.Option.Description!;
            var byDefault = Default().Match(description) is { Success: true } named ? named.Groups["value"].Value : setting.DefaultText ?? "none";
            page.Append($"| `{setting.Option.Name}` | `{setting.Key}` | {Cell(byDefault)} | {Cell(setting.Allowed)} | ");
            if (isGateway)
                page.Append(setting.IsLive ? "yes | " : "| ");
            page.Append($"{Cell(Default().Replace(description, ""))} |\n");
        }
    }

    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Trim();

    [GeneratedRegex(@"\s*\[default: (?<value>[^\]]*)\]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Default();
}
