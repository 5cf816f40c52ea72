using System.Buffers.Text;

namespace Skein.Engines.OpenAiCompatible.Metrics;

/// <summary>Where a server reports its load, and how that is read. Immutable.</summary>
/// <param name="Path">Path of the answer.</param>
/// <param name="Read">Reads the answer. A <see cref="JsonException"/> means that it says nothing.</param>
internal sealed record LoadSource(string Path, Func<byte[], EngineLoad> Read)
{
    /// <summary>Prometheus metrics.</summary>
    /// <param name="waiting">Name of the number of requests that wait.</param>
    /// <param name="kvUsed">Names of the share of the KV cache in use, 0 to 1; one per version of the server.</param>
    public static LoadSource Metrics(string waiting, params string[] kvUsed) => new("metrics", text =>
    {
        // Several label sets are several engines behind one server: their queues add up, and the fullest cache refuses first.
        var queued = Values(text, waiting).ToList();
        var used = kvUsed.SelectMany(name => Values(text, name)).ToList();
        return Of(queued.Count > 0 ? queued.Sum() : null, used.Count > 0 ? used.Max() : null);
    });

    /// <param name="waiting">Requests that wait; null: unknown.</param>
    /// <param name="kvUsed">Share of the KV cache in use, 0 to 1; null: unknown.</param>
    public static EngineLoad Of(double? waiting, double? kvUsed) => new(
        kvUsed is { } used ? (int)Math.Clamp(Math.Round(used * 1000), 0, 1000) : null,
        waiting is { } count ? (int)Math.Clamp(count, 0, int.MaxValue) : null);

    // The values of a gauge in Prometheus' text format, one per set of labels; lines that cannot be read are skipped.
    private static IEnumerable<double> Values(byte[] text, string name)
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
