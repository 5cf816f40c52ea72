using System.Text.Json;

namespace Skein.Simulation.Traces;

/// <summary>
/// Reads traces: <c>TIMESTAMP,ContextTokens,GeneratedTokens</c> (Azure LLM inference traces, 2023 and 2024), or one JSON object a line with
/// <c>timestamp</c> in milliseconds, <c>input_length</c>, <c>output_length</c> and <c>hash_ids</c> (Mooncake, FAST 2025).
/// </summary>
public static class TraceFile
{
    private const int MostRequests = 5_000_000;
    private const int MostTokens = 10_000_000;
    private const string CsvHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file cannot be read.</exception>
    /// <exception cref="ArgumentException">It is no trace; the message names the line, its value and what is allowed.</exception>
    public static IReadOnlyList<TraceRequest> Read(string path)
    {
        using var reader = new StreamReader(path);
        return Read(reader, path);
    }

    /// <exception cref="ArgumentException">As the other overload.</exception>
    public static IReadOnlyList<TraceRequest> Read(TextReader reader, string name)
    {
        var requests = new List<TraceRequest>();
        DateTime? first = null;
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (string.IsNullOrWhiteSpace(line) || (number == 1 && line.Trim() == CsvHeader))
                continue;
            if (requests.Count == MostRequests)
                throw new ArgumentException($"{name} has more than {MostRequests} requests; allowed: up to {MostRequests}");
            requests.Add(ReadLine(line, ref first) ?? throw new ArgumentException(
                $"{name} line {number} '{Shown(line)}' is no request; allowed: {CsvHeader}, or JSON with timestamp, input_length, output_length and hash_ids"));
        }
        if (requests.Count == 0)
            throw new ArgumentException($"{name} has no requests; allowed: at least one");
        requests.Sort((left, right) => left.At.CompareTo(right.At));
        return requests;
    }

    private static string Shown(string line) => line.Length > 60 ? line[..60] + "…" : line;

    private static TraceRequest? ReadLine(string line, ref DateTime? first) =>
        line.StartsWith('{') ? ReadJson(line) : ReadCsv(line, ref first);

    private static TraceRequest? ReadCsv(string line, ref DateTime? first)
    {
        var fields = line.Split(',');
        if (fields.Length != 3
            || !DateTime.TryParse(fields[0], CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal, out var at)
            || !int.TryParse(fields[1], NumberStyles.None, CultureInfo.InvariantCulture, out var prompt)
            || !int.TryParse(fields[2], NumberStyles.None, CultureInfo.InvariantCulture, out var answer))
            return null;
        return Create(at - (first ??= at), prompt, answer, []);
    }

    private static TraceRequest? ReadJson(string line)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            var json = document.RootElement;
            int[] blocks = json.TryGetProperty("hash_ids", out var ids) ? [.. ids.EnumerateArray().Select(id => id.GetInt32())] : [];
            return Create(
                TimeSpan.FromMilliseconds(json.GetProperty("timestamp").GetDouble()), json.GetProperty("input_length").GetInt32(),
                json.GetProperty("output_length").GetInt32(), blocks);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or OverflowException)
        {
            // The caller names the line.
            return null;
        }
    }

    private static TraceRequest? Create(TimeSpan at, int prompt, int answer, int[] blocks) =>
        at < TimeSpan.Zero || prompt is < 0 or > MostTokens || answer is < 0 or > MostTokens || blocks.Length > (prompt / TraceRequest.BlockTokens) + 1
            ? null
            : new TraceRequest(at, Math.Max(1, prompt), Math.Max(1, answer), blocks);
}
