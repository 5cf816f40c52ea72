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
    [InlineData($"{Server}.Http2", 60)]
    [InlineData($"{Server}.BadRequests", 17)]
    [InlineData(Server, 0)]
    [InlineData(Server, 23)]
    public void Log_WhatClientsCause_IsOneLineAMinute(string category, int id)
    {
        var logger = LoggerOf(category);

        for (var minute = 1; minute <= 3; minute++)
        {
            for (var i = 0; i < 100; i++)
                logger.Log(LogLevel.Critical, new EventId(id), "a connection broke");
            Assert.Equal(Enumerable.Repeat(LogLevel.Information, minute), _levels.Seen);
            _time.Advance(TimeSpan.FromMinutes(1));
        }
    }

    [Fact]
    public void Log_ErrorsOfTheGateway_StayAsTheyAre()
    {
        LoggerOf(Server).Log(LogLevel.Error, new EventId(13), "an unhandled exception");
        LoggerOf("Skein.Gateway").Log(LogLevel.Critical, new EventId(0), "x");
        LoggerOf(Server).Log(LogLevel.Error, new EventId(13), new StreamBrokenException("c", new IOException()), "told already");

        Assert.Equal([LogLevel.Error, LogLevel.Critical], _levels.Seen);
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
