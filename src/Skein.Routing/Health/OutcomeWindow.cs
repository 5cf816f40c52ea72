namespace Skein.Routing.Health;

/// <summary>Attempts and failures in a sliding window of ten steps. Not thread-safe.</summary>
internal sealed class OutcomeWindow(TimeSpan length)
{
    private const int Steps = 10;

    private readonly (int Attempts, int Failures)[] _steps = new (int, int)[Steps];
    private long _newest;

    public void Add(bool failed, TimeSpan now)
    {
        SlideTo(now);
        ref var step = ref _steps[_newest % Steps];
        step.Attempts++;
        if (failed)
            step.Failures++;
    }

    public (int Attempts, int Failures) Sum(TimeSpan now)
    {
        SlideTo(now);
        return (_steps.Sum(step => step.Attempts), _steps.Sum(step => step.Failures));
    }

    public void Clear() => Array.Clear(_steps);

    private void SlideTo(TimeSpan now)
    {
        var current = now.Ticks / (length.Ticks / Steps);
        if (current - _newest >= Steps)
            Clear();
        else
            for (var step = _newest + 1; step <= current; step++)
                _steps[step % Steps] = default;
        _newest = Math.Max(_newest, current);
    }
}
