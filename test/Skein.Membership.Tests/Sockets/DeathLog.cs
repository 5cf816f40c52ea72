using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Skein.Membership.Tests.Sockets;

/// <summary>Every verdict that any member logs, also one that is taken back before a snapshot shows it.</summary>
internal sealed class DeathLog : ILoggerFactory, ILogger
{
    private const int Died = 3005;
    private readonly ConcurrentQueue<string> _deaths = [];

    public IEnumerable<string> All => _deaths;

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (eventId.Id == Died)
            _deaths.Enqueue(formatter(state, exception));
    }

    public void Dispose()
    {
    }
}
