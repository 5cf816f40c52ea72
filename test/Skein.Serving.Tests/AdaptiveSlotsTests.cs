using Skein.Serving;

namespace Skein.Serving.Tests;

public class AdaptiveSlotsTests
{
    private readonly AdaptiveSlots _slots = new();
    private TimeSpan _now;

    [Fact]
    public void Tick_AllInUseAndNobodyQueued_GrowsByAQuarterUpToTheBound()
    {
        Assert.Equal(64, _slots.Slots);

        Assert.True(Tick(peak: 64, waiting: 0));
        Assert.Equal(80, _slots.Slots);
        for (var i = 0; i < 30; i++)
        {
            Tick(_slots.Slots, waiting: 0);
        }

        Assert.Equal(AdaptiveSlots.Most, _slots.Slots);
        Assert.False(Tick(_slots.Slots, waiting: 0));
    }

    [Fact]
    public void Tick_SlotsAreFree_StaysAsItIs()
    {
        Assert.False(Tick(peak: 63, waiting: 0));

        Assert.Equal(64, _slots.Slots);
    }

    [Fact]
    public void Tick_TokensBecomeSlower_DoesNotGrow()
    {
        _slots.Tokens(TimeSpan.FromSeconds(1), 100);
        Tick(peak: 1, waiting: 0);

        _slots.Tokens(TimeSpan.FromSeconds(1.6), 100);
        Assert.False(Tick(peak: 64, waiting: 0));

        _slots.Tokens(TimeSpan.FromSeconds(1.4), 100);
        Assert.True(Tick(peak: 64, waiting: 0));
    }

    [Fact]
    public void Tick_QueuedForAMoment_StaysAsItIs()
    {
        Tick(peak: 64, waiting: 5);
        Tick(peak: 64, waiting: 5);

        Assert.False(Tick(peak: 63, waiting: 0));
        Assert.Equal(64, _slots.Slots);
    }

    [Fact]
    public void Tick_StaysQueued_ShrinksFromWhatRunsToAtLeastOne()
    {
        for (var i = 0; i < 3; i++)
        {
            Tick(peak: 10, waiting: 2);
        }

        Assert.Equal(8, _slots.Slots);
        for (var i = 0; i < 30; i++)
        {
            Tick(_slots.Slots, waiting: 2);
        }

        Assert.Equal(1, _slots.Slots);
    }

    [Fact]
    public void Tick_AfterItShrank_GrowsOnlyAfterAPause()
    {
        for (var i = 0; i < 3; i++)
        {
            Tick(peak: 64, waiting: 2);
        }

        Assert.Equal(51, _slots.Slots);
        for (var i = 0; i < 9; i++)
        {
            Assert.False(Tick(peak: 51, waiting: 0));
        }

        Assert.True(Tick(peak: 51, waiting: 0));
        Assert.Equal(64, _slots.Slots);
    }

    /// <summary>A queue that others fill is no reason: this gateway runs nothing there.</summary>
    [Fact]
    public void Tick_OthersQueue_StaysAsItIs()
    {
        for (var i = 0; i < 5; i++)
        {
            Tick(peak: 0, waiting: 7);
        }

        Assert.Equal(64, _slots.Slots);
    }

    [Fact]
    public void Tick_NoQueueReportedAndWaitsGrowWithConcurrency_Shrinks()
    {
        Wait(0.1, concurrency: 1, times: 4);
        Wait(2, concurrency: 40, times: 4);

        Assert.True(Tick(peak: 40, waiting: null));
        Assert.Equal(32, _slots.Slots);
    }

    /// <summary>What began before the change waited in the longer queue.</summary>
    [Fact]
    public void Tick_WaitsFromBeforeTheLastChange_DoNotCount()
    {
        Wait(0.1, concurrency: 1, times: 4);
        Wait(2, concurrency: 40, times: 4);
        Tick(peak: 40, waiting: null);

        _slots.FirstToken(begun: TimeSpan.Zero, TimeSpan.FromSeconds(3), 40);
        _slots.FirstToken(begun: TimeSpan.Zero, TimeSpan.FromSeconds(3), 40);
        _slots.FirstToken(begun: TimeSpan.Zero, TimeSpan.FromSeconds(3), 40);
        _slots.FirstToken(begun: TimeSpan.Zero, TimeSpan.FromSeconds(3), 40);

        Assert.False(Tick(peak: 32, waiting: null));
    }

    [Theory]
    [InlineData(0.1, 0.29)] // within three times
    [InlineData(0.01, 0.2)] // too short to tell from noise
    public void Tick_NoQueueReportedAndWaitsHold_Grows(double low, double high)
    {
        Wait(low, concurrency: 1, times: 4);
        Wait(high, concurrency: 64, times: 4);

        Assert.True(Tick(peak: 64, waiting: null));
        Assert.Equal(80, _slots.Slots);
    }

    /// <summary>An engine that compiles at its first request answers nothing for seconds: its bound grew to the most.</summary>
    [Fact]
    public void Tick_NoQueueReportedAndNothingMeasured_DoesNotGrow()
    {
        for (var i = 0; i < 10; i++)
        {
            Assert.False(Tick(peak: 64, waiting: null));
        }

        Wait(0.1, concurrency: 64, times: 4);
        Assert.True(Tick(peak: 64, waiting: null));
        Assert.False(Tick(peak: 80, waiting: null));
    }

    /// <summary>The only request that ran alone was the first one, which waited for the engine's start.</summary>
    [Fact]
    public void Tick_NoQueueReportedAndFirstWaitWasLong_StopsWhereWaitsGrow()
    {
        Wait(10, concurrency: 1, times: 1);
        var most = 0;
        for (var i = 0; i < 200; i++)
        {
            // Each request waits for those before it.
            Wait(0.02 * _slots.Slots, concurrency: _slots.Slots, times: 8);
            Tick(_slots.Slots, waiting: null);
            most = Math.Max(most, _slots.Slots);
        }

        Assert.InRange(most, 65, 512);
        Assert.InRange(_slots.Slots, 1, 400);
    }

    /// <summary>Those that began at the start, alone, had their first tokens after the bound had grown.</summary>
    [Fact]
    public void Tick_LowWaitsAreOfRequestsFromBeforeTheChange_AreCompared()
    {
        Wait(0.3, concurrency: 64, times: 4);
        Assert.True(Tick(peak: 64, waiting: null));
        _slots.FirstToken(begun: TimeSpan.Zero, TimeSpan.FromSeconds(0.1), concurrency: 1);
        Wait(2, concurrency: 80, times: 4);

        Assert.True(Tick(peak: 80, waiting: null));
        Assert.Equal(64, _slots.Slots);
    }

    /// <summary>Where the server reports its queue, a long wait comes from a long prompt.</summary>
    [Fact]
    public void Tick_QueueIsEmpty_WaitsDoNotCount()
    {
        Wait(0.1, concurrency: 1, times: 4);
        Wait(2, concurrency: 40, times: 4);

        Assert.False(Tick(peak: 40, waiting: 0));
        // They were kept without a bound, and would count once the report is missing.
        Assert.False(Tick(peak: 40, waiting: null));
    }

    [Fact]
    public void Interrupted_FromThenOn_OneSlot()
    {
        _slots.Interrupted();

        Assert.Equal(1, _slots.Slots);
        Assert.False(Tick(peak: 1, waiting: 0));
        Assert.Equal(1, _slots.Slots);
    }

    private void Wait(double seconds, int concurrency, int times)
    {
        for (var i = 0; i < times; i++)
        {
            _slots.FirstToken(_now, TimeSpan.FromSeconds(seconds), concurrency);
        }
    }

    private bool Tick(int peak, int? waiting)
    {
        _now += TimeSpan.FromSeconds(1);
        return _slots.Tick(_now, peak, waiting);
    }
}
