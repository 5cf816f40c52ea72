using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;

namespace Skein.Gateway.Tests.Api;

/// <summary>How requests ended, as the gateway's counter records it.</summary>
internal sealed class Outcomes : IDisposable
{
    private readonly Channel<string> _outcomes = Channel.CreateUnbounded<string>();
    private readonly MeterListener _listener = new();

    public Outcomes(IServiceProvider services)
    {
        var scope = services.GetRequiredService<IMeterFactory>();
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Name == "skein.requests" && ReferenceEquals(instrument.Meter.Scope, scope))
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
        {
            if (count > 0)
                _outcomes.Writer.TryWrite(tags.ToArray().Single(tag => tag.Key == "outcome").Value!.ToString()!);
        });
        _listener.Start();
    }

    /// <summary>Outcome of the next request that ends.</summary>
    public Task<string> NextAsync() => _outcomes.Reader.ReadAsync().AsTask().Within();

    public void Dispose() => _listener.Dispose();
}
