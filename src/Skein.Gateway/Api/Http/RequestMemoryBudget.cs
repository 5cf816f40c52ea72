using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// How many bytes the bodies of HTTP requests and the messages of gRPC hold at the moment: those that are being read, and those whose requests run,
/// because a request aliases its body. Without a bound on the sum, clients who send slowly hold as much as there are connections. Thread-safe.
/// </summary>
internal sealed class RequestMemoryBudget
{
    private long _bytes;

    /// <summary>Bytes held now.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>A share for one body, given back when it is disposed.</summary>
    /// <param name="mostOfAll">Bound on the bytes of all bodies.</param>
    public Share Open(long mostOfAll) => new(this, mostOfAll);

    /// <summary>What one body holds. Used by one task.</summary>
    internal sealed class Share(RequestMemoryBudget memory, long mostOfAll) : IDisposable
    {
        private long _held;

        /// <summary>Takes as much as the body needs in all.</summary>
        /// <exception cref="SessionException">All bodies together would hold too much.</exception>
        public void GrowTo(long bytes)
        {
            var more = bytes - _held;
            if (Interlocked.Add(ref memory._bytes, more) > mostOfAll)
            {
                Interlocked.Add(ref memory._bytes, -more);
                throw new SessionException(SessionError.TooManySessions, $"the bodies of all requests hold too much; allowed: {mostOfAll} bytes together");
            }
            _held = bytes;
        }

        public void Dispose()
        {
            Interlocked.Add(ref memory._bytes, -_held);
            _held = 0;
        }
    }
}
