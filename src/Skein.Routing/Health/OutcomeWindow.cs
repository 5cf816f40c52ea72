namespace Skein.Routing.Health;

/// <summary>Attempts and failures in a sliding window of ten steps. Not thread-safe.</summary>
internal sealed class OutcomeWindow
{
    private const int Steps = 10;

    private readonly (int Attempts, int Failures)[] _steps = new (int, int)[Steps];
    private TimeSpan _length;
    private long _newest;

    /// <param name="length">Of the window. Another one than before begins an empty window.</param>
    public void Add(bool failed, TimeSpan length, TimeSpan now)
    {
        if (length != _length)
        {
            Clear();
            (_length, _newest) = (length, 0);
        }
        SlideTo(now);
        ref var step = ref _steps[_newest % Steps];
        step.Attempts++;
        if (failed)
            step.Failures++;
    }

    /// <summary>Called after <see cref="Add"/>.</summary>
    public (int Attempts, int Failures) Sum(TimeSpan now)
    {
        SlideTo(now);
        return (_steps.Sum(step => step.Attempts), _steps.Sum(step => step.Failures));
    }

    public void Clear() => Array.Clear(_steps);

    private void SlideTo(TimeSpan now)
    {
        var current = now.Ticks / (_length.Ticks / Steps);
        if (current - _newest >= Steps)
            Clear();
        else
            for (var step = _newest + 1; step <= current; step++)
                _steps[step % Steps] = default;
        _newest = Math.Max(_newest, current);
    }
}
