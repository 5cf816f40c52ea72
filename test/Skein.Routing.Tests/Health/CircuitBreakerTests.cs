using Skein.Protocol;
using Skein.Routing.Health;

namespace Skein.Routing.Tests.Health;

public sealed class CircuitBreakerTests
{
    private readonly CircuitBreaker _breaker = new(new BreakerOptions());
    private TimeSpan _now;

    [Fact]
    public void End_FiveFailuresInARow_AsksToBeOpened()
    {
        Attempts(Fault.EngineFailed, 4);
        Attempts(Fault.Cancelled, 10);
        Assert.Equal(BreakerVerdict.ShouldOpen, Attempt(Fault.EngineFailed));
    }

    [Fact]
    public void End_OptionsAreReplaced_TheNewOnesCount()
    {
        var health = new LiveHealth(new HealthOptions());
        var breaker = new CircuitBreaker(health);
        Assert.Equal(BreakerVerdict.Unchanged, breaker.End(breaker.Begin(), Fault.EngineFailed, _now));

        health.Current = new HealthOptions { Breaker = new BreakerOptions { FailuresInARow = 2, OpenFor = TimeSpan.FromSeconds(1) } };

        Assert.Equal(BreakerVerdict.ShouldOpen, breaker.End(breaker.Begin(), Fault.EngineFailed, _now));
        breaker.Open(1, _now);
        Assert.Equal(BreakerState.Open, breaker.StateAt(_now + TimeSpan.FromMilliseconds(999)));
        Assert.Equal(BreakerState.HalfOpen, breaker.StateAt(_now + TimeSpan.FromSeconds(1)));
    }

    /// <summary>A failed trial under options with a longer window must not divide by that of before.</summary>
    [Fact]
    public void End_WindowIsReplaced_CountsFromThenOn()
    {
        var health = new LiveHealth(new HealthOptions());
        var breaker = new CircuitBreaker(health);
        _now = TimeSpan.FromHours(1);
        for (var i = 0; i < 30; i++)
            breaker.End(breaker.Begin(), i % 3 == 0 ? Fault.EngineFailed : null, _now);

        health.Current = new HealthOptions { Breaker = new BreakerOptions { Window = TimeSpan.FromMinutes(1), FewestAttempts = 2 } };

        Assert.Equal(BreakerVerdict.Unchanged, breaker.End(breaker.Begin(), Fault.EngineFailed, _now));
        Assert.Equal(BreakerVerdict.ShouldOpen, breaker.End(breaker.Begin(), Fault.EngineFailed, _now));
    }

    [Fact]
    public void End_SuccessInBetween_StartsTheRowAnew()
    {
        Attempts(Fault.EngineFailed, 4);
        Attempt(null);
        Attempts(Fault.EngineFailed, 4);
        Assert.Equal(BreakerVerdict.ShouldOpen, Attempt(Fault.EngineFailed));
    }

    [Fact]
    public void End_EverySecondFails_AsksToBeOpenedAtTheTwentieth()
    {
        for (var pair = 0; pair < 9; pair++)
        {
            Attempts(null, 1);
            Attempts(Fault.EngineFailed, 1);
        }
        Attempts(null, 1);
        Assert.Equal(BreakerVerdict.ShouldOpen, Attempt(Fault.EngineFailed));
    }

    [Fact]
    public void End_FailuresOlderThanTheWindow_DoNotCountInTheRate()
    {
        for (var pair = 0; pair < 9; pair++)
        {
            Attempts(Fault.EngineFailed, 1);
            Attempts(null, 1);
        }
        _now += TimeSpan.FromSeconds(10);
        Attempts(null, 20);
        Attempts(Fault.EngineFailed, 4);
        Assert.Equal(BreakerState.Closed, _breaker.StateAt(_now));
    }

    [Fact]
    public void Open_TrialsFailAgainAndAgain_StaysOpenTwiceAsLongUpToAMinute()
    {
        _breaker.Open(1, _now);
        foreach (var seconds in new[] { 5, 10, 20, 40, 60, 60 })
        {
            _now += TimeSpan.FromSeconds(seconds) - TimeSpan.FromTicks(1);
            Assert.False(_breaker.Allows(_now));
            _now += TimeSpan.FromTicks(1);
            Assert.True(_breaker.Allows(_now));
            Attempt(Fault.EngineFailed);
        }
    }

    [Fact]
    public void HalfOpen_OneTrialAtATime_ClosesAfterTwoGoodOnes()
    {
        _breaker.Open(1, _now);
        _now += TimeSpan.FromSeconds(5);

        var trial = _breaker.Begin();
        Assert.False(_breaker.Allows(_now));
        Assert.Equal(BreakerVerdict.Unchanged, _breaker.End(trial, null, _now));
        Assert.Equal(BreakerState.HalfOpen, _breaker.StateAt(_now));
        Assert.Equal(BreakerVerdict.Unchanged, Attempt(Fault.Cancelled));
        Assert.Equal(BreakerVerdict.Recovered, Attempt(null));

        Assert.Equal(BreakerState.Closed, _breaker.StateAt(_now));
        Assert.False(_breaker.IsEjected);
    }

    [Fact]
    public void Closed_AfterRecovery_OpensForTheShortestTimeAgain()
    {
        _breaker.Open(1, _now);
        _now += TimeSpan.FromSeconds(5);
        Attempt(Fault.EngineFailed);
        _now += TimeSpan.FromSeconds(10);
        Attempt(null);
        Attempt(null);

        _breaker.Open(2, _now);
        Assert.Equal(BreakerState.HalfOpen, _breaker.StateAt(_now + TimeSpan.FromSeconds(5)));
    }

    [Fact]
    public void End_AttemptBegunBeforeTheOpening_SaysNothing()
    {
        int[] old = [.. Enumerable.Range(0, 4).Select(_ => _breaker.Begin())];
        _breaker.Open(1, _now);
        _now += TimeSpan.FromSeconds(5);
        var trial = _breaker.Begin();

        foreach (var attempt in old)
            _breaker.End(attempt, null, _now);

        Assert.Equal(BreakerState.HalfOpen, _breaker.StateAt(_now));
        Assert.False(_breaker.Allows(_now)); // the trial still runs
        _breaker.End(trial, null, _now);
        Assert.True(_breaker.Allows(_now));
    }

    [Fact]
    public void Validate_OutOfRange_NamesTheOptionItsValueAndWhatIsAllowed()
    {
        var options = new HealthOptions { Breaker = new BreakerOptions { FailureRate = 1.5 } };
        Assert.Equal("breaker failure rate is 1.5; allowed: above 0, to 1", Assert.Throws<ArgumentException>(options.Validate).Message);
    }

    private void Attempts(Fault? fault, int count)
    {
        for (var i = 0; i < count; i++)
            Assert.Equal(BreakerVerdict.Unchanged, Attempt(fault));
    }

    private BreakerVerdict Attempt(Fault? fault) => _breaker.End(_breaker.Begin(), fault, _now);
}
