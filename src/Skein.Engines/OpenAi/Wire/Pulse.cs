namespace Skein.Engines.OpenAi.Wire;

/// <summary>
/// Tells a frozen server from a slow one. Servers of other makes send nothing between two tokens, and for a long prompt nothing for minutes; so while
/// streams are open and no event has come on any of them for 1 s, the server is asked for something cheap on a new connection. Whatever it says, a
/// refusal too, proves that it runs. When it says nothing for 2 s, and nothing has come on the streams meanwhile, all streams that began before are
/// given up. At most one question at a time. Thread-safe.
/// </summary>
/// <param name="ask">Completes with the server's answer, or fails with its refusal.</param>
/// <param name="time">Time.</param>
internal sealed class Pulse(Func<CancellationToken, Task> ask, TimeProvider time) : IDisposable
{
    /// <summary>After so long without any event the server is asked.</summary>
    internal static readonly TimeSpan Quiet = TimeSpan.FromSeconds(1);

    /// <summary>So long it may take to answer.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    // Past it this process itself stood still: the answer may wait unread.
    private static readonly TimeSpan OwnLateness = TimeSpan.FromMilliseconds(200);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly HashSet<Watched> _streams = [];
    private long _lastSign = time.GetTimestamp();
    private bool _isWatching;

    /// <summary>A stream is open, until this is disposed.</summary>
    public Watched Watch()
    {
        var stream = new Watched(this, time.GetTimestamp());
        lock (_gate)
        {
            _streams.Add(stream);
            if (_isWatching)
            {
                return stream;
            }

            _isWatching = true;
        }

        _ = WatchAsync();
        return stream;
    }

    /// <summary>An event came.</summary>
    public void Beat() => Volatile.Write(ref _lastSign, time.GetTimestamp());

    public void Dispose()
    {
        _stop.Cancel();
        _stop.Dispose();
    }

    private async Task WatchAsync()
    {
        var stop = _stop.Token;
        try
        {
            do
            {
                await Task.Delay(Quiet, time, stop);
                if (time.GetElapsedTime(Volatile.Read(ref _lastSign)) < Quiet)
                {
                    continue;
                }

                var askedAt = time.GetTimestamp();
                if (await AnswersAsync(stop))
                {
                    Beat();
                }
                else if (time.GetElapsedTime(askedAt) < Patience + OwnLateness && Volatile.Read(ref _lastSign) < askedAt)
                {
                    GiveUp(askedAt);
                }
            }
            while (IsStillNeeded());
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The engine is no longer used.
        }
    }

    private async Task<bool> AnswersAsync(CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        try
        {
            await ask(either.Token);
            return true;
        }
        catch (Exception refusal) when (refusal is HttpRequestException or IOException)
        {
            // Something refuses, so something runs. Streams of a process that is gone break by themselves.
            return true;
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            return false;
        }
    }

    private bool IsStillNeeded()
    {
        lock (_gate)
        {
            return _isWatching = _streams.Count > 0;
        }
    }

    private void GiveUp(long askedAt)
    {
        Watched[] waiting;
        lock (_gate)
        {
            waiting = [.. _streams.Where(stream => stream.BeganAt < askedAt)];
        }

        foreach (var stream in waiting)
        {
            stream.GiveUp();
        }
    }

    /// <summary>One open stream.</summary>
    internal sealed class Watched(Pulse pulse, long beganAt) : IDisposable
    {
        // Neither timer nor wait handle: nothing to dispose.
        private readonly CancellationTokenSource _frozen = new();

        /// <summary>Cancelled when the server is frozen.</summary>
        public CancellationToken Frozen => _frozen.Token;

        public long BeganAt => beganAt;

        public void GiveUp() => _frozen.Cancel();

        public void Dispose()
        {
            lock (pulse._gate)
            {
                pulse._streams.Remove(this);
            }
        }
    }
}
