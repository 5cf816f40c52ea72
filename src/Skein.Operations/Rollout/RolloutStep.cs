namespace Skein.Operations.Rollout;

/// <summary>The update of one replica. Changed by <see cref="RolloutCore"/> only. Not thread-safe.</summary>
public sealed class RolloutStep(MemberRow row, RolloutStage stage)
{
    public string Name => Row.Name;

    public string From { get; } = row.Revision;

    /// <summary>Models that the replica served before the update.</summary>
    public IReadOnlyList<string> Models { get; } = row.Models;

    public RolloutStage Stage { get; private set; } = stage;

    /// <summary>What the replica is waiting for, or why it failed; empty if there is nothing to say.</summary>
    public string Detail { get; internal set; } = "";

    /// <summary>When the update of this replica began; null before.</summary>
    public TimeSpan? Began { get; private set; }

    /// <summary>When the update of this replica ended; null before.</summary>
    public TimeSpan? Ended { get; private set; }

    public MemberRow Row { get; internal set; } = row;

    /// <summary>True from the drain until the last check.</summary>
    public bool IsActive => Stage is > RolloutStage.Waiting and <= RolloutStage.RollingBack;

    public bool IsWaiting => Stage == RolloutStage.Waiting;

    internal TimeSpan Since { get; private set; }

    /// <summary>Generation that is being replaced; after the restart, the new one.</summary>
    internal ulong Generation { get; set; } = row.Generation;

    /// <summary>Since when the replica is back at another revision; null if it is not.</summary>
    internal TimeSpan? WrongSince { get; set; }

    /// <summary>True if the replica was ready when its update began, so that the update reduces capacity.</summary>
    internal bool WasReady { get; set; }

    internal ErrorRateGate? Errors { get; set; }

    internal void Go(RolloutStage stage, TimeSpan now, string detail = "")
    {
        (Stage, Detail, Since) = (stage, detail, now);
        Began = IsWaiting ? null : IsActive ? Began ?? now : Began;
        Ended = IsActive || IsWaiting ? null : now;
    }
}
