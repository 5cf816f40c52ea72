using System.Net;

namespace Skein.Gateway.Telemetry;

/// <summary>Writes one JSON line for each request that ended. Thread-safe.</summary>
internal sealed class AccessLog(LineSink sink, TimeProvider time)
{
    private const int MaxNameChars = 256;

    public void Write(in AccessEntry entry)
    {
        var line = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteString("time", time.GetUtcNow().UtcDateTime);
            json.WriteString("id", entry.RequestId);
            json.WriteString("operation", entry.Operation);
            if (entry.Path is not null)
            {
                WriteName(json, "path", entry.Path);
                WriteName(json, "client", entry.Client?.ToString());
            }
            WriteName(json, "key", entry.Key);
            WriteName(json, "model", entry.Model);
            json.WriteStartArray("replicas");
            foreach (var replica in entry.Replicas)
                json.WriteStringValue(replica);
            json.WriteEndArray();
            json.WriteNumber("attempts", entry.Attempts);
            json.WriteNumber("input_tokens", entry.InputTokens);
            json.WriteNumber("output_tokens", entry.OutputTokens);
            WriteMs(json, "wait_ms", entry.Wait);
            WriteMs(json, "ttft_ms", entry.FirstToken);
            WriteMs(json, "duration_ms", entry.Duration);
            json.WriteString("outcome", entry.Outcome);
            json.WriteEndObject();
        }
        sink.TryWrite(line.WrittenSpan);
    }

    // The model and the path are the client's own text.
    private static void WriteName(Utf8JsonWriter json, string member, string? name)
    {
        if (name is null)
            json.WriteNull(member);
        else
            json.WriteString(member, name.Length <= MaxNameChars ? name : name[..MaxNameChars]);
    }

    private static void WriteMs(Utf8JsonWriter json, string member, TimeSpan? time)
    {
        if (time is { } known)
            json.WriteNumber(member, Math.Round(known.TotalMilliseconds, 1));
        else
            json.WriteNull(member);
    }
}

/// <summary>A request that ended.</summary>
/// <param name="Operation">Null: it was refused before it was read.</param>
/// <param name="Key">Name of its API key; null: none was needed.</param>
/// <param name="Model">As the client named it; null: it named none, or the request was not read.</param>
/// <param name="Replicas">Those that worked for it, as clients see their names, in order.</param>
/// <param name="Wait">Time in the queue.</param>
/// <param name="FirstToken">Time to the first token; null: there was none.</param>
internal readonly record struct AccessEntry(
    string RequestId, string? Operation, string? Key, string? Model, IEnumerable<string> Replicas, int Attempts, long InputTokens, long OutputTokens,
    TimeSpan? Wait, TimeSpan? FirstToken, TimeSpan Duration, string Outcome)
{
    /// <summary>What a request asked for that was refused because of its key; null: it was not.</summary>
    public string? Path { get; init; }

    /// <summary>From where that request came; null: not known.</summary>
    public IPAddress? Client { get; init; }
}
