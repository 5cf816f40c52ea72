using Skein.Membership.Core;

namespace Skein.Membership.Tests.Core;

public sealed class LocalHealthTests
{
    private static readonly TimeSpan Timeout = TimeSpan.FromMilliseconds(300);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly LocalHealth _health = new(maxScore: 8, Timeout);

    [Theory]
    [InlineData(0.4, 0)]
    [InlineData(0.5, 1)]
    [InlineData(1.0, 2)]
    [InlineData(1.9, 3)]
    [InlineData(50, 4)] // the maximum from delays alone
    public void RecordDelay_HalfAProbeTimeout_IsWorthAPoint(double delay, int points)
    {
        _health.RecordDelay(Timeout * delay, Second);

        Assert.Equal(points, _health.Score);
        Assert.Equal(Second * (points + 1), _health.Scale(Second));
    }

    [Fact]
    public void RecordDelay_ShorterOneAfterALongOne_CountsOnlyOnceTheLongOneIsForgotten()
    {
        _health.RecordDelay(Timeout * 2, Second);
        _health.RecordDelay(Timeout / 2, 2 * Second);
        Assert.Equal(4, _health.Score);

        _health.RecordDelay(Timeout / 2, 4 * Second);
        Assert.Equal(1, _health.Score);
    }

    [Fact]
    public void Worsen_AndDelays_AddUpToTheMost()
    {
        _health.Worsen(3);
        Assert.Equal(3, _health.Score);
        _health.RecordDelay(Timeout * 9, Second);
        Assert.Equal(7, _health.Score);
        _health.Worsen(20);
        Assert.Equal(8, _health.Score);

        for (var i = 0; i < 8; i++)
            _health.Improve();
        Assert.Equal(4, _health.Score);
        _health.Improve();
        Assert.Equal(4, _health.Score);
    }

    /// <summary>Rules without local health.</summary>
    [Fact]
    public void Worsen_MaximumIsZero_StaysHealthy()
    {
        var none = new LocalHealth(maxScore: 0, Timeout);

        none.Worsen(3);
        none.RecordDelay(Timeout * 9, Second);

        Assert.Equal(0, none.Score);
    }
}
