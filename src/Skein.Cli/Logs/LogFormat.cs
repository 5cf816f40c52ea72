using System.Buffers;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Skein.Cli.Logs;

/// <summary>How a line of the log is written.</summary>
internal enum LogFormat
{
    /// <summary><c>2026-01-31T12:00:00.000Z info: Category[3021] Message</c>.</summary>
    Text,

    /// <summary>One JSON object: time, level, category, event, message, the fields of the message, exception.</summary>
    Json,
}

/// <summary>Writes log entries as lines.</summary>
internal static class LogLines
{
    /// <summary>Longest exception that is logged, in characters.</summary>
    private const int MaxExceptionChars = 16_384;

    private const string OriginalFormat = "{OriginalFormat}";

    public static byte[] Write(
        LogFormat format, DateTimeOffset at, LogLevel level, string category, int eventId, string message, object? state, Exception? exception) =>
        format == LogFormat.Json ? WriteJson(at, level, category, eventId, message, state, exception)
        : Encoding.UTF8.GetBytes(OneLine($"{TimeOf(at)} {WordOf(level)}: {category}[{eventId}] {message}{(exception is null ? "" : $" {TextOf(exception)}")}"));

    /// <summary>A line that the program writes to its standard error itself.</summary>
    public static byte[] WritePlain(LogFormat format, DateTimeOffset at, string line) => format == LogFormat.Json
        ? WriteJson(at, LogLevel.Information, "skein", eventId: 0, line, state: null, exception: null)
        : Encoding.UTF8.GetBytes(line);

    private static byte[] WriteJson(
        DateTimeOffset at, LogLevel level, string category, int eventId, string message, object? state, Exception? exception)
    {
        var line = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(line))
        {
            json.WriteStartObject();
            json.WriteString("time", TimeOf(at));
            json.WriteString("level", JsonNamingPolicy.CamelCase.ConvertName(level.ToString()));
            json.WriteString("category", category);
            json.WriteNumber("event", eventId);
            json.WriteString("message", message);
            if (state is IReadOnlyList<KeyValuePair<string, object?>> fields && fields.Any(field => field.Key != OriginalFormat))
            {
                json.WriteStartObject("fields");
                foreach (var (name, value) in fields.Where(field => field.Key != OriginalFormat).DistinctBy(field => field.Key, StringComparer.Ordinal))
                    json.WriteString(JsonNamingPolicy.CamelCase.ConvertName(name), Convert.ToString(value, CultureInfo.InvariantCulture));
                json.WriteEndObject();
            }
            if (exception is not null)
                json.WriteString("exception", TextOf(exception));
            json.WriteEndObject();
        }
        return line.WrittenSpan.ToArray();
    }

    private static string TimeOf(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static string TextOf(Exception exception)
    {
        var text = exception.ToString();
        return text.Length <= MaxExceptionChars ? text : text[..MaxExceptionChars];
    }

    private static string OneLine(string text) => text.AsSpan().ContainsAny('\r', '\n') ? text.ReplaceLineEndings(" ") : text;

    private static string WordOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "trce",
        LogLevel.Debug => "dbug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "fail",
        _ => "crit",
    };
}
