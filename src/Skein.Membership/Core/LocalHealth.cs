namespace Skein.Membership.Core;

/// <summary>
/// How far this member trusts its own senses: 0 (well) to 8 (sick). Scales its own time-outs, so that a slow member waits longer before it
/// accuses others (Lifeguard's local health multiplier, DSN 2018, section IV-A). To failed probes, missed nacks and own refutations it adds
/// what the process knows of itself: late timers, a pool that does not get to its work, a collector that stops everything.
/// </summary>
internal sealed class LocalHealth(int most, TimeSpan patience)
{
    private int _fromProbes;
    private int _fromDelays;
    private TimeSpan _delayedAt;
    private const int MostFromDelays = 4;

    /// <summary>How long a delay counts.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(3);

    public int Score => Math.Min(most, _fromProbes + _fromDelays);

    public void Worsen(int by) => _fromProbes = Math.Min(most, _fromProbes + by);

    public void Improve() => _fromProbes = Math.Max(0, _fromProbes - 1);

    /// <summary>Something in this process came late by <paramref name="delay"/>; half a probe's patience is worth one point.</summary>
    public void NoteDelay(TimeSpan delay, TimeSpan now)
    {
        var points = (int)Math.Min(MostFromDelays, delay.Ticks * 2 / patience.Ticks);
        if (points < _fromDelays && now - _delayedAt < Memory)
            return;
        (_fromDelays, _delayedAt) = (points, now);
    }

    public TimeSpan Scale(TimeSpan time) => time * (Score + 1);
}
