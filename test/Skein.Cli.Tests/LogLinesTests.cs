using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Cli.Logs;

namespace Skein.Cli.Tests;

public sealed partial class LogLinesTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 31, 12, 0, 0, 5, TimeSpan.Zero));
    private readonly MemoryStream _written = new();

    [Fact]
    public void Log_Json_IsOneObjectWithTheFieldsOfTheMessage()
    {
        var line = JsonNode.Parse(Written(LogFormat.Json, new InvalidOperationException("bad\nthing")))!;

        Assert.Equal(
            ("2026-01-31T12:00:00.005Z", "warning", "Skein.Test", 9999, "Request req-1 ended"),
            ((string?)line["time"], (string?)line["level"], (string?)line["category"], (int)line["event"]!, (string?)line["message"]));
        Assert.Equal("req-1", (string?)line["fields"]!["requestId"]);
        Assert.Contains("bad\nthing", (string?)line["exception"], StringComparison.Ordinal);
    }

    [Fact]
    public void Log_Text_IsOneLineWithDateAndZone() =>
        Assert.Equal(
            "2026-01-31T12:00:00.005Z warn: Skein.Test[9999] Request req-1 ended System.InvalidOperationException: bad thing",
            Written(LogFormat.Text, new InvalidOperationException("bad\nthing")));

    private string Written(LogFormat format, Exception exception)
    {
        using (var log = MemberLog.Of(() => _written, format, _time))
            Log.Ended(log.CreateLogger("Skein.Test"), "req-1", exception);
        return Encoding.UTF8.GetString(_written.ToArray()).TrimEnd('\n');
    }

    private static partial class Log
    {
        [LoggerMessage(9999, LogLevel.Warning, "Request {RequestId} ended")]
        public static partial void Ended(ILogger logger, string requestId, Exception exception);
    }
}
