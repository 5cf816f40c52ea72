namespace Skein.Simulation;

/// <summary>A clock that advances from timer to timer, on one thread in one order, so that a seed replays exactly. Not thread-safe.</summary>
internal sealed class VirtualTime : TimeProvider
{
    private readonly EventQueue<(VirtualTimer Timer, long Version)> _due = new();
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _due.Now.Ticks;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + _due.Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new VirtualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Runs a task and everything it starts until the task completes.</summary>
    /// <exception cref="InvalidOperationException">The task waits without a pending timer, or its code left the thread.</exception>
    public void Run(Func<Task> main)
    {
        var before = SynchronizationContext.Current;
        var context = new Context(_ready);
        SynchronizationContext.SetSynchronizationContext(context);
        try
        {
            var task = main();
            while (!task.IsCompleted)
            {
                if (context.Stray is { } stray)
                    throw new InvalidOperationException($"the simulated code left its thread, so that no seed would replay:\n{stray}");
                if (_ready.TryDequeue(out var next))
                    next.Callback(next.State);
                else if (_due.TryTake(TimeSpan.MaxValue, out var due))
                    due.Timer.Fire(due.Version);
                else
                    throw new InvalidOperationException("no event is pending, and the simulation has not ended");
            }
            // The task is completed, so this does not block.
            task.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
        }
    }

    private sealed class Context(Queue<(SendOrPostCallback, object?)> ready) : SynchronizationContext
    {
        private readonly int _thread = Environment.CurrentManagedThreadId;

        /// <summary>Stack trace of a continuation that arrived from another thread; null if there was none.</summary>
        public volatile string? Stray;

        public override void Post(SendOrPostCallback d, object? state)
        {
            if (Environment.CurrentManagedThreadId == _thread)
                ready.Enqueue((d, state));
            else
                Stray ??= Environment.StackTrace;
        }

        public override void Send(SendOrPostCallback d, object? state) => d(state);

        public override SynchronizationContext CreateCopy() => this;
    }

    private sealed class VirtualTimer(VirtualTime time, TimerCallback callback, object? state) : ITimer
    {
        private long _version;
        private TimeSpan _period;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _version++;
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan)
                time._due.Schedule(time._due.Now + dueTime, (this, _version));
            return true;
        }

        /// <summary>Fires unless the timer was changed after scheduling.</summary>
        public void Fire(long version)
        {
            if (version != _version)
                return;
            if (_period > TimeSpan.Zero)
                time._due.Schedule(time._due.Now + _period, (this, _version));
            callback(state);
        }

        public void Dispose() => _version++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
