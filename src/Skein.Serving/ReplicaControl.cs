namespace Skein.Serving;

/// <summary>The slots, and the timer of a drain's grace.</summary>
internal sealed class ReplicaControl(SlotTable slots, TimeProvider time) : IReplicaControl, IDisposable
{
    private readonly Lock _gate = new();
    private ITimer? _timer;
    private DateTimeOffset _graceEnds;
    private bool _graceIsOver;

    public event Action? DrainChanged;

    public event Action? SlotsChanged
    {
        add => slots.SlotsChanged += value;
        remove => slots.SlotsChanged -= value;
    }

    public int Slots => slots.Slots;

    public int EngineSlots => slots.EngineSlots;

    public bool IsDraining => slots.IsDraining;

    public TimeSpan? GraceLeft
    {
        get
        {
            lock (_gate)
            {
                if (!slots.IsDraining)
                    return null;

                // The timer alone ends the grace: rounding must not end it sooner.
                var left = _graceEnds - time.GetUtcNow();
                return _graceIsOver ? TimeSpan.Zero : left > TimeSpan.FromMilliseconds(1) ? left : TimeSpan.FromMilliseconds(1);
            }
        }
    }

    public bool Drain(TimeSpan grace = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(grace, TimeSpan.Zero);
        bool began;
        lock (_gate)
        {
            began = !slots.IsDraining;
            var ends = time.GetUtcNow() + grace;
            if (!began && (_graceIsOver || ends >= _graceEnds))
                return false;

            slots.SetDraining(true);
            _graceEnds = ends;
            _graceIsOver = grace == TimeSpan.Zero;
            _timer?.Dispose();
            _timer = _graceIsOver ? null : time.CreateTimer(EndGrace, _graceEnds, grace, Timeout.InfiniteTimeSpan);
        }

        DrainChanged?.Invoke();
        return began;
    }

    public bool Undrain()
    {
        lock (_gate)
        {
            if (!slots.IsDraining)
                return false;

            slots.SetDraining(false);
            _timer?.Dispose();
            _timer = null;
            _graceIsOver = false;
        }

        DrainChanged?.Invoke();
        return true;
    }

    public Task WhenIdleAsync(CancellationToken cancellationToken) => slots.WhenIdleAsync(cancellationToken);

    public void SetShare(int count, int rank) => slots.SetShare(count, rank);

    public void SetGeneration(ulong generation) => slots.SetGeneration(generation);

    public LoadReport Report() => slots.Report();

    public void Dispose()
    {
        lock (_gate)
            _timer?.Dispose();
    }

    private void EndGrace(object? ends)
    {
        lock (_gate)
        {
            // The timer of a drain that was undone or shortened may still fire.
            if (!slots.IsDraining || _graceEnds != (DateTimeOffset)ends!)
                return;

            _graceIsOver = true;
        }

        DrainChanged?.Invoke();
    }
}
