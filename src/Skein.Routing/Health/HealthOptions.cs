namespace Skein.Routing.Health;

/// <summary>How replicas that fail, or are new, are treated. Immutable.</summary>
public sealed record HealthOptions
{
    /// <summary>When a failing replica is ejected.</summary>
    public BreakerOptions Breaker { get; init; } = new();

    /// <summary>How fast a new or returned replica reaches its full share.</summary>
    public SlowStartOptions SlowStart { get; init; } = new();

    /// <exception cref="ArgumentException">A value is out of its range; the message names the option, its value and what is allowed.</exception>
    public void Validate()
    {
        OptionGuard.Range(Breaker.FailuresInARow, 1, 1_000, "breaker failures in a row");
        OptionGuard.Require(Breaker.FailureRate is > 0 and <= 1, "breaker failure rate", Breaker.FailureRate, "above 0, to 1");
        OptionGuard.Range(Breaker.FewestAttempts, 1, 100_000, "breaker fewest attempts");
        OptionGuard.Range(Breaker.Window, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10), "breaker window");
        OptionGuard.Range(Breaker.OpenFor, TimeSpan.FromMilliseconds(100), Breaker.LongestOpen, "breaker open time");
        OptionGuard.Range(Breaker.LongestOpen, Breaker.OpenFor, TimeSpan.FromHours(1), "breaker longest open time");
        OptionGuard.Range(Breaker.TrialsToClose, 1, 100, "breaker trials to close");
        OptionGuard.Range(Breaker.MaxEjectedShare, 0, 1, "breaker max ejected share");
        OptionGuard.Range(SlowStart.Duration, TimeSpan.Zero, TimeSpan.FromMinutes(10), "slow-start duration");
        OptionGuard.Require(SlowStart.InitialShare is > 0 and <= 1, "slow-start initial share", SlowStart.InitialShare, "above 0, to 1");
    }
}

/// <summary>The circuit breaker of each replica. Immutable.</summary>
public sealed record BreakerOptions
{
    /// <summary>Consecutive failures that open it. Default 5, range 1 to 1,000.</summary>
    public int FailuresInARow { get; init; } = 5;

    /// <summary>Share of failures among the attempts within <see cref="Window"/> that opens it. Default 0.5, range above 0 to 1.</summary>
    public double FailureRate { get; init; } = 0.5;

    /// <summary>Attempts that must have ended within <see cref="Window"/> before the rate counts. Default 20, range 1 to 100,000.</summary>
    public int FewestAttempts { get; init; } = 20;

    /// <summary>Sliding window of the rate, in steps of a tenth. Default 10 s, range 1 s to 10 min.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long it stays open the first time; doubled by every failed trial. Default 5 s, range 100 ms to <see cref="LongestOpen"/>.</summary>
    public TimeSpan OpenFor { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Upper limit of the doubling. Default 60 s, range <see cref="OpenFor"/> to 1 h.</summary>
    public TimeSpan LongestOpen { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Consecutive trials, one at a time, that must succeed to close it. Default 2, range 1 to 100.</summary>
    public int TrialsToClose { get; init; } = 2;

    /// <summary>Largest share of a model's replicas ejected at a time, rounded down; one always stays. Default 0.5, range 0 (no breaker) to 1.</summary>
    public double MaxEjectedShare { get; init; } = 0.5;
}

/// <summary>Slow start of a new or returned replica. Immutable.</summary>
public sealed record SlowStartOptions
{
    /// <summary>Time until the full weight is reached. Default 10 s, range 0 (no ramp) to 10 min.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Share of the weight at the start; never less than one slot's share. Default 0.1, range above 0 to 1.</summary>
    public double InitialShare { get; init; } = 0.1;
}

/// <summary>The options in use, which can be replaced while replicas are served. Thread-safe.</summary>
internal sealed class LiveHealth(HealthOptions options)
{
    private volatile HealthOptions _current = options;

    public HealthOptions Current
    {
        get => _current;
        set => _current = value;
    }
}
