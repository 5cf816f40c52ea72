using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Serving.Tests;

public sealed class EngineFaultLogTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly KeptLog _kept = new();

    /// <summary>A server that resets each connection wrote a stack trace for each of 904 requests.</summary>
    [Fact]
    public void Failed_ManyTimesWithSuccessesBetween_IsOneWarningWithoutStackTrace()
    {
        var log = new EngineFaultLog("scripted engine", _time, _kept);
        for (var i = 0; i < 100; i++)
        {
            log.Failed(new GenerateRequest { RequestId = $"r{i}" }, new FaultException(Fault.ConnectionLost, "reset"));
            log.Succeeded();
            _time.Advance(TimeSpan.FromSeconds(1));
        }
        Assert.Equal(["The scripted engine failed in request r0: reset. Further failures are logged at debug level"], _kept.Lines);

        _time.Advance(TimeSpan.FromSeconds(10));
        log.Succeeded();
        log.Succeeded();
        Assert.Equal("The scripted engine works again: no request failed for a while", Assert.Single(_kept.Lines.Skip(1)));
    }

    private sealed class KeptLog : ILogger
    {
        public List<string> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            Assert.Null(exception);
            Lines.Add(formatter(state, exception));
        }
    }
}
