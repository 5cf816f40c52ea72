using System.Collections.Concurrent;
using System.Collections.Frozen;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// What the server logs of its own. A <see cref="StreamBrokenException"/> is logged in one line already, and not again as an unhandled error with its stack.
/// What clients do to their connections is no error of the gateway: of each kind one line a minute is information, and the rest is for debugging, so that
/// nobody can fill the log. Log filters see neither exceptions nor event ids, hence the loggers around the server's own.
/// </summary>
internal static class ServerLogging
{
    private const string ServerCategory = "Microsoft.AspNetCore.Server.Kestrel";

    /// <summary>Categories of connections: clients cause all their events.</summary>
    private static readonly FrozenSet<string> ClientCategories =
        new[] { $"{ServerCategory}.BadRequests", $"{ServerCategory}.Connections", $"{ServerCategory}.Http2", $"{ServerCategory}.Http3" }.ToFrozenSet();

    /// <summary>Event of the server's main category: a client left its connection in the middle of a request.</summary>
    private const int ConnectionLeft = 23;

    /// <summary>Begin of the message of a TLS client without HTTP/2. Its event id, 0, is that of many others, which are errors of the gateway.</summary>
    private const string NoHttp2 = "HTTP/2 over TLS was not negotiated";

    public static void AddServerLogging(this IServiceCollection services)
    {
        services.AddLogging();
        // A custom factory is not replaced: its owner decides what it logs.
        if (!services.Any(service => service.ServiceType == typeof(ILoggerFactory) && service.ImplementationType == typeof(LoggerFactory)))
            return;
        services.AddSingleton<LoggerFactory>();
        services.Replace(ServiceDescriptor.Singleton<ILoggerFactory>(provider => new Factory(
            provider.GetRequiredService<LoggerFactory>(), provider.GetService<TimeProvider>() ?? TimeProvider.System)));
    }

    private sealed class Factory(LoggerFactory inner, TimeProvider time) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => categoryName == ServerCategory || ClientCategories.Contains(categoryName)
            ? new ServerLogger(inner.CreateLogger(categoryName), isMain: categoryName == ServerCategory, time)
            : inner.CreateLogger(categoryName);

        public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

        public void Dispose() => inner.Dispose();
    }

    /// <param name="isMain">False: one of <see cref="ClientCategories"/>.</param>
    private sealed class ServerLogger(ILogger inner, bool isMain, TimeProvider time) : ILogger
    {
        private static readonly TimeSpan OneLineEach = TimeSpan.FromMinutes(1);

        /// <summary>When an event was logged last, by its id.</summary>
        private readonly ConcurrentDictionary<int, long> _logged = new();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is StreamBrokenException)
                return;
            if (logLevel >= LogLevel.Information && IsOfClient())
                logLevel = IsDue(eventId.Id) ? LogLevel.Information : LogLevel.Debug;
            inner.Log(logLevel, eventId, state, exception, formatter);

            bool IsOfClient() => !isMain || eventId.Id == ConnectionLeft
                || (eventId.Id == 0 && formatter(state, exception).StartsWith(NoHttp2, StringComparison.Ordinal));
        }

        private bool IsDue(int id)
        {
            var now = time.GetTimestamp();
            if (_logged.TryAdd(id, now))
                return true;
            var last = _logged[id];
            return time.GetElapsedTime(last, now) >= OneLineEach && _logged.TryUpdate(id, now, last);
        }
    }
}
