using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Skein.Membership.Transport;

namespace Skein.Membership.Tests.Sockets;

/// <summary>Every death that any member logs, even if it is refuted before a snapshot shows it.</summary>
internal sealed class DeathLog : ILoggerFactory, ILogger
{
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
        if (eventId.Id == GossipMember.DiedEventId)
            _deaths.Enqueue(formatter(state, exception));
    }

    public void Dispose()
    {
    }
}
