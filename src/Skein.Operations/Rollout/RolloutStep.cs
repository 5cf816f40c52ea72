using Skein.Gateway.Admin;

namespace Skein.Operations.Rollout;

/// <summary>One replica's way to the new revision. Changed by the core alone.</summary>
public sealed class RolloutStep(MemberRow row, RolloutStage stage)
{
    public string Name { get; } = row.Name;

    /// <summary>Revision at the beginning.</summary>
    public string From { get; } = row.Revision;

    public IReadOnlyList<string> Models { get; } = row.Models;

    public RolloutStage Stage { get; private set; } = stage;

    /// <summary>What it waits for, or why it failed; empty where there is nothing to say.</summary>
    public string Detail { get; set; } = "";

    /// <summary>When the stage began, on the core's clock.</summary>
    public TimeSpan Since { get; private set; }

    /// <summary>When its way began; null before.</summary>
    public TimeSpan? Began { get; private set; }

    /// <summary>When its way ended; null before.</summary>
    public TimeSpan? Ended { get; private set; }

    /// <summary>The newest row of it.</summary>
    public MemberRow Row { get; set; } = row;

    /// <summary>The life that is replaced, later the one that replaced it.</summary>
    public ulong Generation { get; set; } = row.Generation;

    /// <summary>Since when it has been back at another revision than the wanted one; null: it is not.</summary>
    public TimeSpan? WrongSince { get; set; }

    /// <summary>It took work when its way began: while it is away the fleet is smaller.</summary>
    public bool WasReady { get; set; }

    internal ErrorRateGate? Errors { get; set; }

    public bool IsActive => Stage is > RolloutStage.Waiting and <= RolloutStage.RollingBack;

    public bool IsWaiting => Stage == RolloutStage.Waiting;

    public void Go(RolloutStage stage, TimeSpan now, string detail = "")
    {
        (Stage, Detail, Since) = (stage, detail, now);
        Began = IsActive ? Began ?? now : Began;
        Ended = IsActive || IsWaiting ? null : now;
        if (IsWaiting)
            Began = null;
    }
}
