using System.Buffers.Text;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Metrics;

/// <summary>Reads a server's load from its <c>/metrics</c>, at most about twice a second. Thread-safe.</summary>
internal sealed class LoadScraper(EngineHttp http, LoadMetricNames? names, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(500);
    private volatile Reading? _last;

    /// <exception cref="FaultException">The server cannot be reached.</exception>
    public async ValueTask<EngineLoad> ReadAsync(CancellationToken cancellationToken)
    {
        if (names is null)
            return EngineLoad.Unknown;

        if (_last is { } last && time.GetElapsedTime(last.Timestamp) < Freshness)
            return last.Load;

        var text = await http.FindTextAsync("metrics", cancellationToken);
        var load = text is null ? EngineLoad.Unknown : Parse(text, names);
        _last = new Reading(time.GetTimestamp(), load);
        return load;
    }

    // Several label sets are several engines behind one server: their queues add up, and the fullest cache refuses first.
    private static EngineLoad Parse(byte[] text, LoadMetricNames names)
    {
        var waiting = Values(text, names.Waiting).ToList();
        var used = names.KvUsed.SelectMany(name => Values(text, name)).ToList();
        return new EngineLoad(
            used.Count > 0 ? (int)Math.Clamp(Math.Round(used.Max() * 1000), 0, 1000) : null,
            waiting.Count > 0 ? (int)Math.Clamp(waiting.Sum(), 0, int.MaxValue) : null);
    }

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

    private sealed record Reading(long Timestamp, EngineLoad Load);
}

/// <summary>Names of a server's load metrics.</summary>
/// <param name="KvUsed">Share of the KV cache in use, 0 to 1; one name per version of the server.</param>
internal sealed record LoadMetricNames(string Waiting, string[] KvUsed);
