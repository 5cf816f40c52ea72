using System.Globalization;

namespace Skein.EndToEnd.Support;

/// <summary>Reads <c>/metrics</c>.</summary>
internal static class Metric
{
    /// <summary>Sum of all series of a metric with these labels; fails when there is none.</summary>
    public static double Sum(string metrics, string name, params string[] labels)
    {
        string[] series =
        [
            .. metrics.Split('\n').Where(line =>
                (line.StartsWith($"{name}{{", StringComparison.Ordinal) || line.StartsWith($"{name}_total{{", StringComparison.Ordinal)
                    || line.StartsWith($"{name} ", StringComparison.Ordinal))
                && labels.All(label => line.Contains(label, StringComparison.Ordinal))),
        ];
        Assert.True(series.Length > 0, $"no {name} in:\n{metrics}");
        // A line ends with the value, or with the value and a time.
        return series.Sum(line => double.Parse(line[(line.LastIndexOf('}') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture));
    }
}
