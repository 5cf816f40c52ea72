namespace Skein.Membership.Core;

/// <summary>
/// How far this member trusts its own senses: 0 (well) to 8 (sick). Scales its own time-outs, so that a slow member waits longer before it
/// accuses others (Lifeguard's local health multiplier, DSN 2018, section IV-A).
/// </summary>
internal sealed class LocalHealth(int most)
{
    public int Score { get; private set; }

    public void Worsen(int by) => Score = Math.Min(most, Score + by);

    public void Improve() => Score = Math.Max(0, Score - 1);

    public TimeSpan Scale(TimeSpan time) => time * (Score + 1);
}
