namespace Skein.Cli.Settings;

/// <summary>Reads and writes sizes such as 65536, 512KiB or 1GiB.</summary>
internal static class Sizes
{
    private static readonly (string Suffix, long Unit)[] Units = [("TiB", 1L << 40), ("GiB", 1L << 30), ("MiB", 1L << 20), ("KiB", 1L << 10)];

    /// <summary>Reads a whole number with the unit KiB, MiB, GiB or TiB. A number without a unit is in bytes.</summary>
    public static bool TryParse(string text, out long bytes)
    {
        (var suffix, var unit) = Units.FirstOrDefault(candidate => text.EndsWith(candidate.Suffix, StringComparison.Ordinal), ("", 1));
        var isNumber = long.TryParse(text[..^suffix.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var amount) && amount <= long.MaxValue / unit;
        bytes = isNumber ? amount * unit : 0;
        return isNumber;
    }

    public static string Text(long bytes)
    {
        (var suffix, var unit) = Units.FirstOrDefault(candidate => bytes >= candidate.Unit && bytes % candidate.Unit == 0, ("", 1));
        return string.Create(CultureInfo.InvariantCulture, $"{bytes / unit}{suffix}");
    }
}
