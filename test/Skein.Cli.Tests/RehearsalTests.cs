using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Skein.Cli.Members;

namespace Skein.Cli.Tests;

public class RehearsalTests
{
    [Fact]
    public async Task Run_FailoverInMidAnswer_EndsWholeAndOutsideTheGatewaysMetrics()
    {
        var counted = new ConcurrentQueue<string>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == "Skein.Gateway")
                    self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, _, _, _) => counted.Enqueue(instrument.Name));
        listener.SetMeasurementEventCallback<double>((instrument, _, _, _) => counted.Enqueue(instrument.Name));
        listener.Start();
        var log = new Lines();

        await Rehearsal.RunAsync(log, TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

        Assert.Equal(["The first answers and the first failover are rehearsed"], log.Told);
        Assert.Empty(counted);
    }

    [Fact]
    public async Task Run_NoTimeForIt_GoesOnAndSaysSo()
    {
        var log = new Lines();

        await Rehearsal.RunAsync(log, TimeSpan.Zero, TestContext.Current.CancellationToken);

        Assert.StartsWith("The rehearsal was not over within", Assert.Single(log.Told));
    }

    private sealed class Lines : ILogger
    {
        public ConcurrentQueue<string> Told { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Told.Enqueue(formatter(state, exception));
    }
}
