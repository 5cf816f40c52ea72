using Skein.Routing.Health;

namespace Skein.Routing.Tests.Health;

public sealed class CircuitBreakerTests
{
    private readonly CircuitBreaker _breaker = new(new BreakerOptions());
    private TimeSpan _now;

    [Fact]
    public void End_FiveFailuresInARow_AsksToBeOpened()
    {
        Attempts(Evidence.Bad, 4);
        Attempts(Evidence.None, 10);
        Assert.Equal(BreakerVerdict.ShouldOpen, Attempt(Evidence.Bad));
    }

    [Fact]
    public void End_SuccessInBetween_StartsTheRowAnew()
    {
        Attempts(Evidence.Bad, 4);
        Attempt(Evidence.Good);
        Attempts(Evidence.Bad, 4);
        Assert.Equal(BreakerVerdict.ShouldOpen, Attempt(Evidence.Bad));
    }

    [Fact]
    public void End_EverySecondFails_AsksToBeOpenedAtTheTwentieth()
    {
        for (var pair = 0; pair < 9; pair++)
        {
            Attempts(Evidence.Good, 1);
            Attempts(Evidence.Bad, 1);
        }
        Attempts(Evidence.Good, 1);
        Assert.Equal(BreakerVerdict.ShouldOpen, Attempt(Evidence.Bad));
    }

    [Fact]
    public void End_FailuresOlderThanTheWindow_DoNotCountInTheRate()
    {
        for (var pair = 0; pair < 9; pair++)
        {
            Attempts(Evidence.Bad, 1);
            Attempts(Evidence.Good, 1);
        }
        _now += TimeSpan.FromSeconds(10);
        Attempts(Evidence.Good, 20);
        Attempts(Evidence.Bad, 4);
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
            Attempt(Evidence.Bad);
        }
    }

    [Fact]
    public void HalfOpen_OneTrialAtATime_ClosesAfterTwoGoodOnes()
    {
        _breaker.Open(1, _now);
        _now += TimeSpan.FromSeconds(5);

        var trial = _breaker.Begin();
        Assert.False(_breaker.Allows(_now));
        Assert.Equal(BreakerVerdict.Unchanged, _breaker.End(trial, Evidence.Good, _now));
        Assert.Equal(BreakerState.HalfOpen, _breaker.StateAt(_now));
        Assert.Equal(BreakerVerdict.Unchanged, Attempt(Evidence.None));
        Assert.Equal(BreakerVerdict.Recovered, Attempt(Evidence.Good));

        Assert.Equal(BreakerState.Closed, _breaker.StateAt(_now));
        Assert.False(_breaker.IsEjected);
    }

    [Fact]
    public void Closed_AfterRecovery_OpensForTheShortestTimeAgain()
    {
        _breaker.Open(1, _now);
        _now += TimeSpan.FromSeconds(5);
        Attempt(Evidence.Bad);
        _now += TimeSpan.FromSeconds(10);
        Attempt(Evidence.Good);
        Attempt(Evidence.Good);

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
            _breaker.End(attempt, Evidence.Good, _now);

        Assert.Equal(BreakerState.HalfOpen, _breaker.StateAt(_now));
        Assert.False(_breaker.Allows(_now)); // the trial still runs
        _breaker.End(trial, Evidence.Good, _now);
        Assert.True(_breaker.Allows(_now));
    }

    [Fact]
    public void Validate_OutOfRange_NamesTheOptionItsValueAndWhatIsAllowed()
    {
        var options = new HealthOptions { Breaker = new BreakerOptions { FailureRate = 1.5 } };
        Assert.Equal("breaker failure rate 1.5 is out of range; allowed: above 0, to 1", Assert.Throws<ArgumentException>(options.Validate).Message);
    }

    private void Attempts(Evidence evidence, int count)
    {
        for (var i = 0; i < count; i++)
            Assert.Equal(BreakerVerdict.Unchanged, Attempt(evidence));
    }

    private BreakerVerdict Attempt(Evidence evidence) => _breaker.End(_breaker.Begin(), evidence, _now);
}
