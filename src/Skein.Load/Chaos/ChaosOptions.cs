namespace Skein.Load.Chaos;

/// <summary>What a chaos run does to whom. Immutable; checked by <see cref="ChaosRun.RunAsync"/>.</summary>
public sealed record ChaosOptions
{
    /// <summary>Who is asked, half the streams each: addresses as in <see cref="BenchOptions.Target"/>. At least one.</summary>
    public required IReadOnlyList<Uri> Targets { get; init; }

    /// <summary>How long faults are injected. 1 s to 7 days; default 2 min.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>Decides which faults happen to whom, in which order. Default 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Streams at any moment. 1 to 20,000; default 60.</summary>
    public int Streams { get; init; } = 60;

    /// <summary>Length of an answer, in tokens. 1 to 1,000,000; default 100.</summary>
    public int MaxTokens { get; init; } = 100;

    /// <summary>Time from one fault to the next. 10 ms to 1 h; default 1 s.</summary>
    public TimeSpan FaultEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Replicas that are always left alone. At least 1; default 2.</summary>
    public int LeftAlone { get; init; } = 2;

    /// <summary>Kinds of faults; all of them by default.</summary>
    public IReadOnlyList<FaultKind> Kinds { get; init; } = Enum.GetValues<FaultKind>();

    /// <exception cref="ArgumentException">A setting is out of its range; the message names it, its value and what is allowed.</exception>
    internal void Validate()
    {
        Check(Targets.Count >= 1, nameof(Targets), Targets.Count, "at least 1");
        Check(Duration >= TimeSpan.FromSeconds(1) && Duration <= TimeSpan.FromDays(7), nameof(Duration), Duration, "1 s to 7 days");
        Check(FaultEvery >= TimeSpan.FromMilliseconds(10) && FaultEvery <= TimeSpan.FromHours(1), nameof(FaultEvery), FaultEvery, "10 ms to 1 h");
        Check(LeftAlone >= 1, nameof(LeftAlone), LeftAlone, "at least 1");
        Check(Kinds.Count >= 1, nameof(Kinds), Kinds.Count, "at least 1");
    }

    private static void Check<T>(bool isRight, string name, T value, string allowed)
    {
        if (!isRight)
        {
            throw new ArgumentException(FormattableString.Invariant($"{name} is {value}; allowed: {allowed}"), name);
        }
    }
}

/// <summary>What may happen to a replica.</summary>
public enum FaultKind
{
    /// <summary>Its process is killed (SIGKILL).</summary>
    Kill,

    /// <summary>Its process is stopped for a while (SIGSTOP), then goes on.</summary>
    Freeze,

    /// <summary>Its process gets a tenth of its time for a while.</summary>
    Slow,

    /// <summary>It is drained, and put back once it is idle.</summary>
    Drain,

    /// <summary>It is told to stop (SIGTERM), and started again.</summary>
    Restart,

    /// <summary>It is drained and started again with another revision.</summary>
    Upgrade,

    /// <summary>Of all packets to and from it 30 % are lost for a while, UDP and TCP.</summary>
    Loss,

    /// <summary>All packets to and from it are lost for a while: its cable is pulled.</summary>
    Cut,
}

/// <summary>One fault.</summary>
/// <param name="Kind">What happens.</param>
/// <param name="Replica">To whom.</param>
/// <param name="Duration">How long a freeze, a slow time, a loss or a cut lasts.</param>
public sealed record InjectedFault(FaultKind Kind, string Replica, TimeSpan Duration);
