using System.Globalization;

namespace Skein.Cli.Settings;

/// <summary>Times as people write them on a command line.</summary>
internal static class Durations
{
    private static readonly (string Suffix, TimeSpan Unit)[] Units =
    [
        ("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1)), ("h", TimeSpan.FromHours(1)),
    ];

    /// <summary>Reads a number with the unit ms, s, m or h; without a unit it is seconds.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        (string Suffix, TimeSpan Unit) unit = ("", TimeSpan.FromSeconds(1));
        foreach (var candidate in Units)
        {
            if (text.EndsWith(candidate.Suffix, StringComparison.Ordinal))
            {
                unit = candidate;
                break;
            }
        }
        if (!double.TryParse(text[..^unit.Suffix.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var amount))
            return false;
        // So written that it refuses what is not a number, too.
        if (!(amount * unit.Unit.TotalDays <= 365))
            return false;
        duration = amount * unit.Unit;
        return true;
    }

    /// <summary>As <see cref="TryParse"/> reads it.</summary>
    public static string Text(TimeSpan duration)
    {
        (var suffix, var unit) = Units.Last(unit => duration >= unit.Unit || unit == Units[0]);
        return string.Create(CultureInfo.InvariantCulture, $"{duration / unit:0.###}{suffix}");
    }
}
