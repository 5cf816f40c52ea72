using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Api.Http;

namespace Skein.Gateway.Tests.Api.Http;

/// <summary>Clients that reset streams, or try TLS without HTTP/2, wrote a line at error or critical level each time.</summary>
public sealed class ServerLoggingTests : IDisposable
{
    private const string Server = "Microsoft.AspNetCore.Server.Kestrel";

    private readonly FakeTimeProvider _time = new();
    private readonly Levels _levels = new();
    private readonly ServiceProvider _services;

    public ServerLoggingTests()
    {
        var services = new ServiceCollection();
        services.AddSingleton<TimeProvider>(_time);
        services.AddLogging(logging => logging.AddProvider(_levels).SetMinimumLevel(LogLevel.Information));
        services.AddServerLogging();
        _services = services.BuildServiceProvider();
    }

    public void Dispose() => _services.Dispose();

    [Theory]
    [InlineData($"{Server}.Http2", 60, "a connection broke")]
    [InlineData($"{Server}.Http3", 44, "a connection broke")]
    [InlineData($"{Server}.Connections", 39, "a connection broke")]
    [InlineData($"{Server}.BadRequests", 17, "a connection broke")]
    [InlineData(Server, 0, "HTTP/2 over TLS was not negotiated on an HTTP/2-only endpoint.")]
    [InlineData(Server, 23, "a connection broke")]
    public void Log_WhatClientsCause_IsOneLineAMinute(string category, int id, string message)
    {
        var logger = LoggerOf(category);

        for (var minute = 1; minute <= 3; minute++)
        {
            for (var i = 0; i < 100; i++)
                logger.Log(LogLevel.Critical, new EventId(id), message, null, (text, _) => text);
            Assert.Equal(Enumerable.Repeat(LogLevel.Information, minute), _levels.Seen);
            _time.Advance(TimeSpan.FromMinutes(1));
        }
    }

    [Fact]
    public void Log_ErrorsOfTheGateway_StayAsTheyAre()
    {
        LoggerOf(Server).Log(LogLevel.Error, new EventId(13), "an unhandled exception");
        LoggerOf(Server).Log(LogLevel.Critical, new EventId(0), "Unable to start Kestrel.");
        LoggerOf(Server).Log(LogLevel.Critical, new EventId(0), "The connection listener failed to accept any new connections.");
        LoggerOf($"{Server}.Transport.Sockets").Log(LogLevel.Error, new EventId(7), "x");
        LoggerOf("Skein.Gateway").Log(LogLevel.Critical, new EventId(0), "x");
        LoggerOf(Server).Log(LogLevel.Error, new EventId(13), new StreamBrokenException("c", new IOException()), "told already");

        Assert.Equal([LogLevel.Error, LogLevel.Critical, LogLevel.Critical, LogLevel.Error, LogLevel.Critical], _levels.Seen);
    }

    private ILogger LoggerOf(string category) => _services.GetRequiredService<ILoggerFactory>().CreateLogger(category);

    private sealed class Levels : ILoggerProvider, ILogger
    {
        public List<LogLevel> Seen { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Seen.Add(logLevel);

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}
