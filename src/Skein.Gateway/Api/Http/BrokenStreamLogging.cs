using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Fails a response that has started, after everything for the client was flushed. The server then leaves the response unfinished (HTTP/1.1: no final
/// chunk; HTTP/2: RST_STREAM), for clients that do not read error events. <c>HttpContext.Abort</c> would drop flushed data.
/// </summary>
/// <param name="isLogged">Whether the session has logged the cause.</param>
internal sealed class StreamBrokenException(string code, Exception cause, bool isLogged = false) : Exception($"the stream broke: {code}", cause)
{
    public bool IsLogged { get; } = isLogged;

    /// <summary>The error code that the client got; also the outcome in metrics.</summary>
    public string Code { get; } = code;
}

/// <summary>
/// Keeps the server from logging a <see cref="StreamBrokenException"/>, which is already logged in one line, as an unhandled error with its stack. Log
/// filters do not see exceptions, hence the logger around the server's own.
/// </summary>
internal static class BrokenStreamLogging
{
    private const string ServerCategory = "Microsoft.AspNetCore.Server.Kestrel";

    public static void AddBrokenStreamLogging(this IServiceCollection services)
    {
        services.AddLogging();
        // A custom factory is not replaced: its owner decides what it logs.
        if (!services.Any(service => service.ServiceType == typeof(ILoggerFactory) && service.ImplementationType == typeof(LoggerFactory)))
            return;
        services.AddSingleton<LoggerFactory>();
        services.Replace(ServiceDescriptor.Singleton<ILoggerFactory>(provider => new Factory(provider.GetRequiredService<LoggerFactory>())));
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
