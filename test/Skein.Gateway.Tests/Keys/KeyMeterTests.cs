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

        Assert.Equal(("this API key has used its 2 requests per minute", TimeSpan.FromSeconds(30)), (refusal!.Message, refusal.RetryAfter));
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Null(meter.Begin("m"));
        Assert.NotNull(meter.Begin("m"));
    }

    /// <summary>What a request costs is known when it has begun: it may overdraw, and the next one waits until that is paid.</summary>
    [Fact]
    public void Charge_MoreThanIsLeft_RefusesTheNextRequestUntilItIsPaid()
    {
        var meter = Meter(key => key with { TokensPerMinute = 600 });
        Assert.Null(meter.Begin("m"));
        meter.Charge(900);

        // 300 tokens overdrawn at 10 tokens/s, and one more for the request.
        Assert.Equal(TimeSpan.FromSeconds(30.1), meter.Begin("m")!.RetryAfter);

        _time.Advance(TimeSpan.FromSeconds(30.1));
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
        Assert.Equal(new KeyWindow(100, 80, TimeSpan.FromSeconds(12)), use.TokenWindow);
        Assert.Null(use.RequestWindow);
    }

    private KeyMeter Meter(Func<ApiKey, ApiKey> with) => new(Key(with), _time);

    private static ApiKey Key(Func<ApiKey, ApiKey> with) => with(new ApiKey { Name = "k", Hash = ApiKey.HashOf("secret") });
}
