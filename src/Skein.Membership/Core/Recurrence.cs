namespace Skein.Membership.Core;

/// <summary>Whether something happens again and again: remembers its last <paramref name="count"/> times.</summary>
internal sealed class Recurrence(int count)
{
    private readonly TimeSpan?[] _times = new TimeSpan?[count];
    private int _oldest;

    public void Note(TimeSpan now)
    {
        _times[_oldest] = now;
        _oldest = (_oldest + 1) % _times.Length;
    }

    /// <summary>All of the last times are after <paramref name="start"/>.</summary>
    public bool HappenedSince(TimeSpan start) => _times[_oldest] > start;
}
