namespace Skein.Cli.Settings;

/// <summary>Reads and writes durations such as 500ms, 2s, 10m or 1h.</summary>
internal static class Durations
{
    private static readonly (string Suffix, TimeSpan Unit)[] Units =
    [
        ("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1)), ("h", TimeSpan.FromHours(1)),
    ];

    /// <summary>Reads a number with the unit ms, s, m or h, or 0. Another number without a unit could mean anything. At most 365 days.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        // "ms" precedes "s", which is a suffix of it.
        (var suffix, var unit) = Units.FirstOrDefault(
            candidate => text.EndsWith(candidate.Suffix, StringComparison.Ordinal), (Suffix: "", Unit: TimeSpan.FromSeconds(1)));
        var isAllowed = double.TryParse(text[..^suffix.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var amount)
            && amount * unit.TotalDays <= 365 && (suffix.Length > 0 || amount == 0);
        duration = isAllowed ? amount * unit : default;
        return isAllowed;
    }

    public static string Text(TimeSpan duration)
    {
        (var suffix, var unit) = Units.Last(unit => duration >= unit.Unit || unit == Units[0]);
        return string.Create(CultureInfo.InvariantCulture, $"{duration / unit:0.###}{suffix}");
    }
}
