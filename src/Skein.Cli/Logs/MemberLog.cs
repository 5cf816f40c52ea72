using System.Text;
using Microsoft.Extensions.Logging;
using Skein.Gateway.Telemetry;

namespace Skein.Cli.Logs;

/// <summary>
/// The log of a member on standard error. Everything that the process writes there goes through one bounded queue, so that a full disk or a pipe that nobody
/// reads neither ends nor delays the member. Thread-safe.
/// </summary>
internal sealed class MemberLog : ILoggerProvider
{
    private readonly TextWriter _standardError = Console.Error;
    private readonly LogFormat _format;
    private readonly TimeProvider _time;

    private MemberLog(LogFormat format, LogLevel level, Func<Stream> open, TimeProvider time)
    {
        (_format, Level, _time) = (format, level, time);
        Sink = new LineSink("log", open, dropped => Encoding.UTF8.GetString(Plain($"{dropped} lines of the log were dropped")), time);
    }

    public LogLevel Level { get; }

    /// <summary>Where the lines go, and how many were dropped.</summary>
    public LineSink Sink { get; }

    /// <summary>Takes over standard error until it is disposed.</summary>
    public static MemberLog Open(LogFormat format, LogLevel level)
    {
        var log = new MemberLog(format, level, Console.OpenStandardError, TimeProvider.System);
        Console.SetError(new LineWriter(log));
        return log;
    }

    /// <summary>A log on another stream.</summary>
    internal static MemberLog Of(Func<Stream> open, LogFormat format, TimeProvider time) => new(format, LogLevel.Trace, open, time);

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    /// <summary>Writes the lines that wait, and gives standard error back.</summary>
    public void Dispose()
    {
        Console.SetError(_standardError);
        Sink.Dispose();
    }

    private byte[] Plain(string line) => LogLines.WritePlain(_format, _time.GetUtcNow(), line);

    private sealed class Logger(MemberLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            log.Sink.TryWrite(LogLines.Write(
                log._format, log._time.GetUtcNow(), logLevel, category, eventId.Id, formatter(state, exception), state, exception));
    }

    /// <summary>Cuts what is written to <see cref="Console.Error"/> into lines.</summary>
    private sealed class LineWriter(MemberLog log) : TextWriter
    {
        private const int MaxLineChars = 64 << 10;
        private readonly StringBuilder _line = new();

        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value)
        {
            lock (_line)
            {
                if (value != '\n' && _line.Length < MaxLineChars)
                {
                    _line.Append(value);
                    return;
                }
                log.Sink.TryWrite(log.Plain(_line.ToString().TrimEnd('\r')));
                _line.Clear();
            }
        }

        public override void Write(string? value)
        {
            lock (_line)
                base.Write(value);
        }

        public override void WriteLine(string? value)
        {
            lock (_line)
            {
                Write(value);
                Write('\n');
            }
        }
    }
}

/// <summary>Standard error that cannot fail the program: what it does not take is lost, because there is no other place to say so.</summary>
internal sealed class TolerantWriter(TextWriter inner) : TextWriter
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => Try(() => inner.Write(value));

    public override void Write(string? value) => Try(() => inner.Write(value));

    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));

    public override Task WriteLineAsync(string? value)
    {
        WriteLine(value);
        return Task.CompletedTask;
    }

    public override void Flush() => Try(inner.Flush);

    private static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (IOException)
        {
            // The disk is full, or the reader is gone.
        }
    }
}
