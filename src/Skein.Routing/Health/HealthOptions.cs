namespace Skein.Routing.Health;

/// <summary>How replicas that fail, or are new, are treated. Immutable.</summary>
public sealed record HealthOptions
{
    /// <summary>When a failing replica is ejected.</summary>
    public BreakerOptions Breaker { get; init; } = new();

    /// <summary>How fast a replica that is new or back reaches its full share.</summary>
    public SlowStartOptions SlowStart { get; init; } = new();

    /// <summary>Throws when a value is out of its range.</summary>
    /// <exception cref="ArgumentException">Names the option, its value and what is allowed.</exception>
    public void Validate()
    {
        Breaker.Validate();
        SlowStart.Validate();
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

    /// <summary>
    /// Largest share of a model's replicas that may be ejected at a time, rounded down; one always stays. Default 0.5, range 0 (no breaker) to 1.
    /// </summary>
    public double MaxEjectedShare { get; init; } = 0.5;

    internal void Validate()
    {
        OptionCheck.Require(FailuresInARow is >= 1 and <= 1_000, "breaker failures in a row", FailuresInARow, "1 to 1000");
        OptionCheck.Require(FailureRate is > 0 and <= 1, "breaker failure rate", FailureRate, "above 0, to 1");
        OptionCheck.Require(FewestAttempts is >= 1 and <= 100_000, "breaker fewest attempts", FewestAttempts, "1 to 100000");
        OptionCheck.Require(Window >= TimeSpan.FromSeconds(1) && Window <= TimeSpan.FromMinutes(10), "breaker window", Window, "1 s to 10 min");
        OptionCheck.Require(
            OpenFor >= TimeSpan.FromMilliseconds(100) && OpenFor <= LongestOpen, "breaker open time", OpenFor, "100 ms to the longest open time");
        OptionCheck.Require(LongestOpen <= TimeSpan.FromHours(1), "breaker longest open time", LongestOpen, "the open time to 1 h");
        OptionCheck.Require(TrialsToClose is >= 1 and <= 100, "breaker trials to close", TrialsToClose, "1 to 100");
        OptionCheck.Require(MaxEjectedShare is >= 0 and <= 1, "breaker max ejected share", MaxEjectedShare, "0 to 1");
    }
}

/// <summary>The ramp of a replica that is new or back. Immutable.</summary>
public sealed record SlowStartOptions
{
    /// <summary>Time until the full weight is reached. Default 10 s, range 0 (no ramp) to 10 min.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Share of the weight at the start; never less than one slot's share. Default 0.1, range above 0 to 1.</summary>
    public double InitialShare { get; init; } = 0.1;

    internal void Validate()
    {
        OptionCheck.Require(Duration >= TimeSpan.Zero && Duration <= TimeSpan.FromMinutes(10), "slow-start duration", Duration, "0 s to 10 min");
        OptionCheck.Require(InitialShare is > 0 and <= 1, "slow-start initial share", InitialShare, "above 0, to 1");
    }
}
