using Skein.Routing.Fleet;

namespace Skein.Routing.Tests.Fleet;

public sealed class RecentTimesTests
{
    private readonly RecentTimes _gaps = new();

    [Fact]
    public void P99_NoGap_IsZero() => Assert.Equal(TimeSpan.Zero, _gaps.P99);

    [Fact]
    public void P99_OneGapOfAnyLength_IsItOrUpToAQuarterMore()
    {
        for (double ms = 1; ms < 200_000; ms *= 1.07)
        {
            var one = new RecentTimes();
            one.Add(TimeSpan.FromMilliseconds(ms));

            Assert.InRange(one.P99.TotalMilliseconds, ms, ms * 1.25);
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(3_600_000)]
    public void P99_GapBeyondTheBuckets_IsInTheNearestOne(double ms)
    {
        _gaps.Add(TimeSpan.FromMilliseconds(ms));

        Assert.InRange(_gaps.P99, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(4.5));
    }

    [Theory]
    [InlineData(1, 20)]
    [InlineData(3, 3000)]
    public void P99_SomeOfTwoHundredAreLong_CountFromTheThirdOn(int longOnes, double expectedMs)
    {
        for (var i = 0; i < 200; i++)
            _gaps.Add(TimeSpan.FromMilliseconds(i < longOnes ? 3000 : 20));

        Assert.InRange(_gaps.P99.TotalMilliseconds, expectedMs, expectedMs * 1.25);
    }

    /// <summary>Attempts that ended at the same time lost each other's counts, and could halve them all twice.</summary>
    [Fact]
    public void Add_ManyAtTheSameTime_LosesNone()
    {
        const int EachAdds = (RecentTimes.MostKept / 2) - 1;
        using var start = new Barrier(2);
        Thread[] writers = [.. Enumerable.Range(0, 2).Select(_ => new Thread(() =>
        {
            start.SignalAndWait();
            for (var i = 0; i < EachAdds; i++)
                _gaps.Add(TimeSpan.FromMilliseconds(20));
        }))];
        Array.ForEach(writers, writer => writer.Start());
        Array.ForEach(writers, writer => writer.Join());

        Assert.Equal(2 * EachAdds, _gaps.Count);
    }

    [Fact]
    public void P99_LongOnesAreLongAgo_Fade()
    {
        for (var i = 0; i < RecentTimes.MostKept; i++)
            _gaps.Add(TimeSpan.FromSeconds(2));
        for (var i = 0; i < 6 * RecentTimes.MostKept; i++)
            _gaps.Add(TimeSpan.FromMilliseconds(20));

        Assert.InRange(_gaps.P99.TotalMilliseconds, 20, 25);
    }
}
