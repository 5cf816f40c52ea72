using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Skein.Upstreams.Tests.Gateways;

/// <summary>What a gateway logged. Thread-safe.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<LogLine> _lines = [];

    /// <summary>Lines of Skein itself.</summary>
    public IReadOnlyList<LogLine> All => [.. _lines.Where(line => line.Category.StartsWith("Skein", StringComparison.Ordinal))];

    public IEnumerable<LogLine> With(string text) => All.Where(line => line.Message.Contains(text, StringComparison.OrdinalIgnoreCase));

    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

    public void Dispose()
    {
    }

    public override string ToString() => string.Join('\n', All.Select(line => $"{line.Level}: {line.Message}"));

    private sealed class Logger(string category, ConcurrentQueue<LogLine> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue(new LogLine(logLevel, category, formatter(state, exception), exception));
    }
}

internal sealed record LogLine(LogLevel Level, string Category, string Message, Exception? Exception);
