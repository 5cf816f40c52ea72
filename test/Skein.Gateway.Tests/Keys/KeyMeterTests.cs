using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Keys;

namespace Skein.Gateway.Tests.Keys;

public sealed class KeyMeterTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Begin_RequestsPerMinute_AreRefusedUntilOneIsThereAgain()
    {
        var meter = Meter(key => key with { RequestsPerMinute = 2 });
        Assert.Null(meter.Begin("m"));
        Assert.Null(meter.Begin("m"));

        var refusal = meter.Begin("m");

        Assert.Equal(("this API key has used its 2 requests per minute", TimeSpan.FromSeconds(60)), (refusal!.Message, refusal.RetryAfter));
        _time.Advance(TimeSpan.FromSeconds(59.99));
        Assert.NotNull(meter.Begin("m"));
        _time.Advance(TimeSpan.FromSeconds(0.01));
        Assert.Null(meter.Begin("m"));
    }

    /// <summary>A key that had rested got twice its limit within a minute: a full bucket, and what filled it meanwhile.</summary>
    [Theory]
    [InlineData(1, 1000)]
    [InlineData(60, 100)]
    [InlineData(60, 1000)]
    [InlineData(600, 40)]
    public void Begin_AfterARest_IsTheLimitInEveryMinute(int limit, int everyMs)
    {
        var meter = Meter(key => key with { RequestsPerMinute = limit });
        _time.Advance(TimeSpan.FromMinutes(10));
        var began = _time.GetUtcNow();
        var admitted = new List<TimeSpan>();

        while (_time.GetUtcNow() - began < TimeSpan.FromMinutes(5))
        {
            if (meter.Begin("m") is null)
                admitted.Add(_time.GetUtcNow() - began);
            _time.Advance(TimeSpan.FromMilliseconds(everyMs));
        }

        Assert.InRange(admitted.Count, limit * 5 * 0.9, limit * 5);
        Assert.All(admitted, at => Assert.InRange(admitted.Count(other => other >= at && other - at < TimeSpan.FromMinutes(1)), 1, limit));
    }

    /// <summary>Who is refused and waits as long as the refusal says is admitted.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(100)]
    public void Begin_AfterTheWaitOfTheRefusal_IsAdmitted(int limit)
    {
        var meter = Meter(key => key with { RequestsPerMinute = limit, TokensPerMinute = limit * 100 });
        for (var i = 0; i < 10 * limit; i++)
        {
            if (meter.Begin("m") is { } refusal)
            {
                // Official clients do not obey a longer one.
                Assert.InRange(refusal.RetryAfter!.Value, TimeSpan.FromTicks(1), TimeSpan.FromMinutes(1));
                _time.Advance(refusal.RetryAfter.Value);
                Assert.Null(meter.Begin("m"));
            }
            meter.Charge(i % 7 == 0 ? 300 : 40);
            _time.Advance(TimeSpan.FromMilliseconds(i * 37 % 900));
        }
    }

    /// <summary>What a request costs is known when it has begun: it may overdraw, and the next one waits until that is paid.</summary>
    [Theory]
    [InlineData(900, 60)]
    [InlineData(1500, 90.1)]
    public void Charge_MoreThanIsLeft_RefusesTheNextRequestUntilItIsPaid(int tokens, double wait)
    {
        var meter = Meter(key => key with { TokensPerMinute = 600 });
        Assert.Null(meter.Begin("m"));
        meter.Charge(tokens);

        // At 10 tokens/s, and one more for the request; not before the minute is over.
        Assert.Equal(TimeSpan.FromSeconds(wait), meter.Begin("m")!.RetryAfter);

        _time.Advance(TimeSpan.FromSeconds(wait));
        Assert.Null(meter.Begin("m"));
    }

    [Fact]
    public void Begin_Streams_CountsThoseThatRun()
    {
        var meter = Meter(key => key with { Streams = 1 });
        Assert.Null(meter.Begin("m"));
        Assert.Equal("this API key has 1 requests running; allowed at the same time: 1", meter.Begin("m")!.Message);

        meter.End();

        Assert.Null(meter.Begin("m"));
    }

    /// <summary>A client whose connection broke comes back for the answer that holds its only stream.</summary>
    [Fact]
    public void Join_AllStreamsAndTokensUsed_IsAdmittedAsARequest()
    {
        var meter = Meter(key => key with { Streams = 1, TokensPerMinute = 10, RequestsPerMinute = 2, Models = ["m"] });
        Assert.Null(meter.Begin("m"));
        meter.Charge(20);

        Assert.Null(meter.Join("m"));

        Assert.Equal((1, 2L, 20L), (meter.Read().Running, meter.Read().Requests, meter.Read().Tokens));
        Assert.StartsWith("this API key has used its 2 requests per minute", meter.Join("m")!.Message, StringComparison.Ordinal);
        Assert.Null(meter.Join("other")!.RetryAfter);
    }

    [Theory]
    [InlineData(null, -8, -8)]
    [InlineData(-2, -8, -2)]
    [InlineData(-2, -2, -2)]
    [InlineData(-2, 5, 5)]
    [InlineData(3, 0, 3)]
    public void PriorityOf_ClassAboveTheKeys_IsTheKeys(int? most, int asked, int expected) =>
        Assert.Equal(expected, Key(key => key with { MaxPriority = most }).PriorityOf(asked));

    [Fact]
    public void Begin_ModelOfAnother_IsRefusedForGood()
    {
        var meter = Meter(key => key with { Models = ["a", "b"] });

        var refusal = meter.Begin("c");

        Assert.Equal(("model 'c' is not allowed for this API key; allowed: a, b", null), (refusal!.Message, refusal.RetryAfter));
        Assert.Null(meter.Begin("b"));
    }

    /// <summary>A request without a model went to the only served one, whatever the key allows.</summary>
    [Fact]
    public void Begin_NoModelNamed_IsRefusedIfTheKeyAllowsOnlySome()
    {
        var refusal = Meter(key => key with { Models = ["a"] }).Begin("");

        Assert.Equal(("the request names no model, and this API key is for some only; allowed: a", null), (refusal!.Message, refusal.RetryAfter));
        Assert.Null(Meter(key => key).Begin(""));
    }

    [Fact]
    public void Use_LimitUnchanged_KeepsItsLevel()
    {
        var meter = Meter(key => key with { RequestsPerMinute = 1, TokensPerDay = 10 });
        Assert.Null(meter.Begin("m"));

        meter.Use(Key(key => key with { RequestsPerMinute = 1, TokensPerDay = 20 }));
        Assert.NotNull(meter.Begin("m"));

        meter.Use(Key(key => key with { RequestsPerMinute = 2 }));
        Assert.Null(meter.Begin("m"));
    }

    [Fact]
    public void Read_CountsRequestsAndTokens()
    {
        var meter = Meter(key => key with { TokensPerMinute = 100 });
        Assert.Null(meter.Begin("m"));
        meter.Charge(30);
        meter.Charge(-10);

        var use = meter.Read();

        Assert.Equal(("k", 1, 1L, 20L), (use.Name, use.Running, use.Requests, use.Tokens));
        Assert.Equal(new KeyWindow(100, 80, TimeSpan.FromSeconds(60)), use.TokenWindow);
        Assert.Null(use.RequestWindow);
    }

    private KeyMeter Meter(Func<ApiKey, ApiKey> with) => new(Key(with), _time);

    private static ApiKey Key(Func<ApiKey, ApiKey> with) => with(new ApiKey { Name = "k", Hash = ApiKey.HashOf("secret") });
}
