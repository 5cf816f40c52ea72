using System.Collections.Concurrent;

namespace Skein.Serving;

/// <summary>The one timer behind the heartbeats of all streams.</summary>
internal sealed class StreamTicker : IDisposable
{
    private readonly ConcurrentDictionary<GenerationStream, bool> _streams = new();
    private readonly ITimer _timer;
    private int _ticking;

    public StreamTicker(ReplicaOptions options, TimeProvider time) =>
        _timer = time.CreateTimer(_ => Tick(), state: null, options.HeartbeatInterval / 2, options.HeartbeatInterval / 2);

    public void Add(GenerationStream stream) => _streams.TryAdd(stream, true);

    public void Remove(GenerationStream stream) => _streams.TryRemove(stream, out _);

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        // Late timers may fire side by side; one of them is enough.
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
