using System.Diagnostics.Metrics;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Bounds the memory of all request bodies, over HTTP and gRPC: those being read, and those whose requests run and reference them. Without it, slow
/// senders could use memory in proportion to the number of connections. Thread-safe.
/// </summary>
internal sealed class RequestMemoryBudget
{
    private long _maxBytes;
    private long _bytes;

    public RequestMemoryBudget(IMeterFactory meters, ApiOptions options)
    {
        _maxBytes = options.MaxBodyMemoryBytes;
        meters.Create(MetricNames.Meter).CreateObservableGauge(
            "skein.request.bodies", () => Interlocked.Read(ref _bytes), "By", "Memory of request bodies that are being read or whose requests run.");
    }

    /// <summary>Bound of all bodies together, in bytes. Bodies that are held stay.</summary>
    public long MaxBytes
    {
        get => Interlocked.Read(ref _maxBytes);
        set => Interlocked.Exchange(ref _maxBytes, value);
    }

    /// <summary>Opens a share for one body. Disposing it returns the memory.</summary>
    public Share Open() => new(this);

    /// <summary>The memory of one body. Not thread-safe.</summary>
    internal sealed class Share(RequestMemoryBudget budget) : IDisposable
    {
        private long _held;

        /// <summary>Grows the share to a total size.</summary>
        /// <exception cref="FaultException">All bodies together would exceed the limit. The share keeps its size.</exception>
        public void GrowTo(long bytes)
        {
            var more = bytes - _held;
            if (Interlocked.Add(ref budget._bytes, more) > budget.MaxBytes)
            {
                Interlocked.Add(ref budget._bytes, -more);
                throw new FaultException(Fault.TooManySessions, $"the bodies of all requests hold too much; allowed: {budget.MaxBytes} bytes together");
            }
            _held = bytes;
        }

        /// <summary>Returns what is above a size, once that size is final.</summary>
        public void ShrinkTo(long bytes)
        {
            Interlocked.Add(ref budget._bytes, bytes - _held);
            _held = bytes;
        }

        public void Dispose()
        {
            Interlocked.Add(ref budget._bytes, -_held);
            _held = 0;
        }
    }
}
