using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Keeps the server from logging a <see cref="StreamBrokenException"/> as an unhandled error with its stack: the stream's end was told to
/// the client, counted and logged in one line. Log filters cannot do it, because they do not see exceptions. Every other event passes.
/// </summary>
internal static class BrokenStreamLogging
{
    private const string ServerCategory = "Microsoft.AspNetCore.Server.Kestrel";

    public static void AddBrokenStreamLogging(this IServiceCollection services)
    {
        services.AddLogging();
        // A factory that is not .NET's own has its own filters; it stays.
        if (!services.Any(service => service.ServiceType == typeof(ILoggerFactory) && service.ImplementationType == typeof(LoggerFactory)))
            return;
        services.Replace(ServiceDescriptor.Singleton<ILoggerFactory>(provider => new Factory(new LoggerFactory(
            provider.GetServices<ILoggerProvider>(),
            provider.GetRequiredService<IOptionsMonitor<LoggerFilterOptions>>(),
            provider.GetService<IOptions<LoggerFactoryOptions>>(),
            provider.GetService<IExternalScopeProvider>()))));
    }

    private sealed class Factory(LoggerFactory inner) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => categoryName == ServerCategory
            ? new ServerLogger(inner.CreateLogger(categoryName))
            : inner.CreateLogger(categoryName);

        public void AddProvider(ILoggerProvider provider) => inner.AddProvider(provider);

        public void Dispose() => inner.Dispose();
    }

    private sealed class ServerLogger(ILogger inner) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => inner.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is not StreamBrokenException)
                inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
