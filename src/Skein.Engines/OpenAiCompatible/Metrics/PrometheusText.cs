using System.Buffers.Text;

namespace Skein.Engines.OpenAiCompatible.Metrics;

/// <summary>Reads gauges from Prometheus' text format.</summary>
internal static class PrometheusText
{
    /// <summary>The values of a metric, one per set of labels; lines that cannot be read are skipped.</summary>
    public static IEnumerable<double> Values(byte[] text, string name)
    {
        var prefix = Encoding.UTF8.GetBytes(name);
        for (var start = 0; start < text.Length;)
        {
            var end = Array.IndexOf(text, (byte)'\n', start);
            end = end < 0 ? text.Length : end;
            if (ValueOf(text.AsSpan(start..end), prefix) is { } value)
                yield return value;

            start = end + 1;
        }
    }

    private static double? ValueOf(ReadOnlySpan<byte> line, ReadOnlySpan<byte> name)
    {
        if (!line.StartsWith(name) || line.Length == name.Length || line[name.Length] is not ((byte)' ' or (byte)'{'))
            return null;

        // A label's value may contain braces: the number comes after the last one of the line.
        var rest = line[(line[name.Length] == (byte)'{' ? line.LastIndexOf((byte)'}') + 1 : name.Length)..].TrimStart((byte)' ');
        return Utf8Parser.TryParse(rest, out double value, out _) && double.IsFinite(value) ? value : null;
    }
}
