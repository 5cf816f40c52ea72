using Skein.Routing.Fleet;

namespace Skein.Routing.Tests.Fleet;

public sealed class RecentTimesTests
{
    private readonly RecentTimes _gaps = new();

    [Fact]
    public void P99_NoGap_IsZero() => Assert.Equal(TimeSpan.Zero, _gaps.P99);

    [Fact]
    public void P99_OneGapOfAnyLength_IsAtMostTenPercentAndAQuarterMillisecondMore()
    {
        for (double ms = 1; ms < 200_000; ms *= 1.07)
        {
            var one = new RecentTimes();
            one.Add(TimeSpan.FromMilliseconds(ms));

            Assert.InRange(one.P99.TotalMilliseconds, ms, (ms + 0.25) * 1.10);
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(3_600_000)]
    public void P99_GapOutsideTheRange_IsTheNearestBound(double ms)
    {
        _gaps.Add(TimeSpan.FromMilliseconds(ms));

        Assert.InRange(_gaps.P99, TimeSpan.FromMilliseconds(1), TimeSpan.FromMinutes(4 * 1.10));
    }

    [Theory]
    [InlineData(1, 20)]
    [InlineData(3, 3000)]
    public void P99_LongGapsAmongTwoHundred_CountFromTheThirdOn(int longOnes, double expectedMs)
    {
        for (var i = 0; i < 200; i++)
            _gaps.Add(TimeSpan.FromMilliseconds(i < longOnes ? 3000 : 20));

        Assert.InRange(_gaps.P99.TotalMilliseconds, expectedMs, expectedMs * 1.10);
    }

    /// <summary>Attempts that ended at the same time overwrote each other's counts.</summary>
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
    public void P99_LongGapsBeforeTwoFullHistograms_NoLongerCount()
    {
        for (var i = 0; i < RecentTimes.MostKept; i++)
            _gaps.Add(TimeSpan.FromSeconds(2));
        for (var i = 0; i < 2 * RecentTimes.MostKept; i++)
            _gaps.Add(TimeSpan.FromMilliseconds(20));

        Assert.InRange(_gaps.P99.TotalMilliseconds, 20, 20 * 1.10);
    }

    [Fact]
    public void Add_OneHistogramIsFull_BothCount()
    {
        for (var i = 0; i < RecentTimes.MostKept + 1; i++)
            _gaps.Add(TimeSpan.FromMilliseconds(i < RecentTimes.MostKept ? 2000 : 20));

        Assert.Equal(RecentTimes.MostKept + 1, _gaps.Count);
        Assert.InRange(_gaps.P99.TotalMilliseconds, 2000, 2000 * 1.10);
    }

    [Fact]
    public void P99_ReadWhileHistogramsAreSwapped_IsThatOfTheGaps()
    {
        _gaps.Add(TimeSpan.FromMilliseconds(20));
        using var start = new Barrier(2);
        var isWriting = true;
        var writer = new Thread(() =>
        {
            start.SignalAndWait();
            for (var i = 0; i < 20 * RecentTimes.MostKept; i++)
                _gaps.Add(TimeSpan.FromMilliseconds(20));
            Volatile.Write(ref isWriting, false);
        });
        writer.Start();
        start.SignalAndWait();
        var read = new List<double>();
        do
            read.Add(_gaps.P99.TotalMilliseconds);
        while (Volatile.Read(ref isWriting));
        writer.Join();

        Assert.All(read, ms => Assert.InRange(ms, 20, 20 * 1.10));
    }
}
