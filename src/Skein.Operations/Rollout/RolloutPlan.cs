namespace Skein.Operations.Rollout;

/// <summary>Options of a rolling update. Immutable.</summary>
public sealed record RolloutPlan
{
    /// <summary>Target revision of every replica.</summary>
    public required string Revision { get; init; }

    /// <summary>Replicas that may be unavailable at a time, in total and per model. At least 1; default 1.</summary>
    public int MaxUnavailable { get; init; } = 1;

    /// <summary>Maximum duration of a drain, of a command, and of the time until a restarted replica is back. Default 10 min.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long the error rate must stay low after a replica is back. 0 disables the check. Default 10 s.</summary>
    public TimeSpan ErrorPeriod { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Maximum errors per finished request, 0 to 1. Default 0.01.</summary>
    public double MaxErrorRate { get; init; } = 0.01;

    /// <summary>True: dead replicas are neither restarted nor counted. Default false: they are restarted first and count as unavailable.</summary>
    public bool IgnoreDead { get; init; }

    /// <summary>True: a replica that fails a check is rolled back. Default false.</summary>
    public bool RollsBack { get; init; }
}

/// <summary>What <see cref="RolloutRun"/> must do next; it reports the result to the core.</summary>
internal enum RolloutOrder
{
    Drain,
    Undrain,
    Restart,
    Probe,
    RollBack,
}

/// <summary>Stage of one replica in a rolling update.</summary>
public enum RolloutStage
{
    Waiting,

    /// <summary>Streams finish or move.</summary>
    Draining,
    Restarting,

    /// <summary>The replica is not back yet, or not at the target revision.</summary>
    Rejoining,

    /// <summary>Canary requests are in flight.</summary>
    Probing,
    WatchingErrors,
    RollingBack,

    /// <summary>The replica is at the target revision and passed every check.</summary>
    Updated,

    /// <summary>The replica was at the target revision before the update.</summary>
    Skipped,
    Failed,
    RolledBack,
}
