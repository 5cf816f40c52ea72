using System.Collections.Concurrent;

namespace Skein.Serving.Grpc;

/// <summary>One timer for the heartbeats of all calls. Thread-safe.</summary>
internal sealed class StreamTicker : IDisposable
{
    private readonly ConcurrentDictionary<GenerateCall, bool> _streams = new();
    private readonly ITimer _timer;
    private int _ticking;

    public StreamTicker(ReplicaOptions options, TimeProvider time) =>
        _timer = time.CreateTimer(_ => Tick(), state: null, options.HeartbeatInterval / 2, options.HeartbeatInterval / 2);

    public void Add(GenerateCall stream) => _streams.TryAdd(stream, true);

    public void Remove(GenerateCall stream) => _streams.TryRemove(stream, out _);

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        // Late timers may fire concurrently; one is enough.
        if (Interlocked.Exchange(ref _ticking, 1) == 1)
        {
            return;
        }

        foreach (var (stream, _) in _streams)
        {
            stream.Tick();
        }

        Volatile.Write(ref _ticking, 0);
    }
}
