using Skein.Cli.Settings;
using Skein.Cli.Upstreams;

namespace Skein.Cli.Configuration;

/// <summary>A setting in effect: a row of <c>skein config show</c>.</summary>
/// <param name="Value">As it is written in the file; null: none.</param>
/// <param name="Origin">The flag, the variable, the file, or <c>default</c>.</param>
/// <param name="Live">Whether a changed value in the file is used without a restart.</param>
internal sealed record SettingRow(string Key, string? Value, string Origin, bool Live)
{
    public const string Default = "default";

    /// <summary>All settings, those of upstreams in the file included. Values of headers, which may be secrets, are left out.</summary>
    /// <param name="settings">The settings to list.</param>
    /// <param name="isEffective">Whether settings that nobody set are included.</param>
    /// <exception cref="UsageException">A value is not allowed.</exception>
    public static IEnumerable<SettingRow> Of(SettingSources sources, IReadOnlyList<ISetting> settings, bool isEffective)
    {
        foreach (var setting in settings.Where(setting => !setting.Option.Hidden).OrderBy(setting => setting.Key, StringComparer.Ordinal))
        {
            var value = setting.TextOf(sources);
            if (sources.Find(setting) is { } found)
                yield return new SettingRow(setting.Key, value, found.Origin.StartsWith('\'') ? sources.Path! : found.Origin, setting.IsLive);
            else if (isEffective)
                yield return new SettingRow(setting.Key, value, Default, setting.IsLive);
            if (setting.ListKey is not { } key || sources.FindList(key) is not { } list)
                continue;
            var index = 0;
            foreach (var item in list.List.EnumerateArray())
            {
                foreach (var member in item.EnumerateObject())
                    yield return new SettingRow($"{key}[{index}].{member.Name}", Shown(member), list.Path, setting.IsLive);
                index++;
            }
        }
    }

    private static string Shown(JsonProperty member) =>
        member.Name == UpstreamEntry.Headers && member.Value.ValueKind == JsonValueKind.Object
            ? string.Join(',', member.Value.EnumerateObject().Select(header => $"{header.Name}=…"))
            : member.Value.ToString();
}
