namespace Skein.EndToEnd.Support;

/// <summary>The longest time between two pieces of an answer.</summary>
internal sealed class PauseWatch
{
    private long? _last;

    public TimeSpan Longest { get; private set; }

    public void OnPiece()
    {
        var now = TimeProvider.System.GetTimestamp();
        if (_last is { } last && TimeProvider.System.GetElapsedTime(last, now) is var pause && pause > Longest)
            Longest = pause;
        _last = now;
    }
}
