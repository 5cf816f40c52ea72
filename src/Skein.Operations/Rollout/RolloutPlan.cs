namespace Skein.Operations.Rollout;

/// <summary>What a rolling update is to do. Immutable.</summary>
public sealed record RolloutPlan
{
    /// <summary>Where every replica shall be in the end.</summary>
    public required string Revision { get; init; }

    /// <summary>Replicas that may be away at the same time, per model as in all. At least 1; default 1.</summary>
    public int MaxUnavailable { get; init; } = 1;

    /// <summary>Longest wait for a replica that restarts to be back. Default 10 min.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the error rate must stay low after a replica is back. 0: not looked at. Default 10 s.</summary>
    public TimeSpan Calm { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Most errors per ended request, 0 to 1. Default 0.01.</summary>
    public double MaxErrorRate { get; init; } = 0.01;

    /// <summary>Dead replicas are neither restarted nor counted. Default false: they are restarted first, and count as away.</summary>
    public bool IgnoreDead { get; init; }

    /// <summary>A replica that did not pass is rolled back. Default false.</summary>
    public bool RollsBack { get; init; }
}

/// <summary>What the shell shall do now; its end is told to the core.</summary>
public enum RolloutOrder
{
    /// <summary>Drain it and wait until it is idle.</summary>
    Drain,

    /// <summary>Give it work again: its update was called off.</summary>
    Undrain,

    /// <summary>Start it again at the new revision.</summary>
    Restart,

    /// <summary>Ask it for short answers.</summary>
    Probe,

    /// <summary>Take it back to what it was.</summary>
    RollBack,
}

/// <summary>Where a replica is on its way.</summary>
public enum RolloutStage
{
    /// <summary>Not begun.</summary>
    Waiting,

    Draining,

    /// <summary>The command runs.</summary>
    Restarting,

    /// <summary>Not yet back, or not at the revision.</summary>
    Rejoining,

    /// <summary>Canaries are out.</summary>
    Probing,

    /// <summary>The error rate is watched.</summary>
    Calming,

    RollingBack,

    /// <summary>At the revision, every gate passed.</summary>
    Updated,

    /// <summary>Was at the revision before.</summary>
    Skipped,

    /// <summary>A gate failed.</summary>
    Failed,

    /// <summary>A gate failed, and the way back was taken.</summary>
    RolledBack,
}
