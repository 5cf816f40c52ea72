
namespace Skein.Serving.Tests;

public class SlotTableTests
{
    [Fact]
    public void TryTake_ManyThreads_NeverGrantsMoreThanTheSlotsAndLosesNone()
    {
        const int Slots = 3;
        var table = new SlotTable(generation: 1, TimeProvider.System);
        table.SetSlots(Slots);
        var held = 0;
        var granted = 0;
        Parallel.For(0, 20_000, i =>
        {
            if (table.TryTake($"caller-{i % 4}", queue: null, out var lease) != SlotAnswer.Granted)
            {
                return;
            }

            Assert.InRange(Interlocked.Increment(ref held), 1, Slots);
            Interlocked.Increment(ref granted);
            Interlocked.Decrement(ref held);
            lease!.Dispose();
        });

        Assert.True(granted > 0);
        Assert.Equal(0u, table.Report().Running);
    }

    [Fact]
    public void Dispose_Twice_ReleasesOnce()
    {
        var table = new SlotTable(generation: 1, TimeProvider.System);
        table.SetSlots(2);
        table.TryTake("a", queue: null, out var first);
        table.TryTake("a", queue: null, out _);

        first!.Dispose();
        first.Dispose();

        Assert.Equal(1u, table.Report("a").Running);
        Assert.Equal(1u, table.Report("a").RunningForCaller);
    }

    [Fact]
    public void TryTake_MoreCallersThanRows_StillCountsTheirSlots()
    {
        var table = new SlotTable(generation: 1, TimeProvider.System);
        table.SetSlots(5000);
        var leases = new List<SlotLease>();
        for (var i = 0; i < 3000; i++)
        {
            Assert.Equal(SlotAnswer.Granted, table.TryTake($"caller-{i}", queue: null, out var lease));
            leases.Add(lease!);
        }

        Assert.Equal(3000u, table.Report().Running);
        Assert.Equal(1u, table.Report("caller-5").RunningForCaller);
        Assert.Equal(0u, table.Report("caller-2500").RunningForCaller);
        leases.ForEach(lease => lease.Dispose());
        Assert.Equal(0u, table.Report("caller-5").Running);
    }

    [Fact]
    public void Report_RequestsThatBegan_AreCountedForEachCaller()
    {
        var table = new SlotTable(generation: 1, TimeProvider.System);
        table.SetSlots(1);
        foreach (var caller in new[] { "a", "b", "a" })
        {
            Assert.Equal(SlotAnswer.Granted, table.TryTake(caller, queue: null, out var lease));
            Assert.Equal(SlotAnswer.Full, table.TryTake("c", queue: null, out _));
            lease!.Dispose();
        }

        Assert.Equal((3ul, 2ul), (table.Report("a").Begun, table.Report("a").BegunForCaller));
        Assert.Equal((3ul, 0ul), (table.Report("c").Begun, table.Report("c").BegunForCaller));
    }

    [Fact]
    public void Report_EveryOne_IsNewerThanTheOneBefore()
    {
        var table = new SlotTable(generation: 5, TimeProvider.System);
        var first = table.Report();
        var second = table.Report();
        table.SetGeneration(4);
        var third = table.Report();
        table.SetGeneration(6);

        Assert.True(first.Sequence < second.Sequence && second.Sequence < third.Sequence);
        Assert.Equal(5ul, third.Generation);
        Assert.Equal(6ul, table.Report().Generation);
    }

    [Fact]
    public async Task WhenIdle_Cancelled_GivesUp()
    {
        var table = new SlotTable(generation: 1, TimeProvider.System);
        table.SetSlots(1);
        table.TryTake("a", queue: null, out var lease);
        using var cancel = new CancellationTokenSource();
        var idle = table.WhenIdleAsync(cancel.Token);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => idle);
        lease!.Dispose();
        await table.WhenIdleAsync(CancellationToken.None);
    }

    [Theory]
    [InlineData(8, 2, 0, 4)]
    [InlineData(7, 2, 0, 4)]
    [InlineData(7, 2, 1, 3)]
    [InlineData(1, 3, 2, 0)]
    [InlineData(10, 1, 0, 10)]
    public void SetShare_SeveralUseTheEngine_HasItsPartOfTheSlots(int whole, int count, int rank, int expected)
    {
        using var table = new SlotTable(generation: 1, TimeProvider.System);
        table.SetSlots(whole);

        table.SetShare(count, rank);
        Assert.Equal(expected, table.Slots);

        table.SetShare(1, 0);
        Assert.Equal(whole, table.Slots);
    }
}
