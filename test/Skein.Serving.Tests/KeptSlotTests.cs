using Microsoft.Extensions.Time.Testing;

namespace Skein.Serving.Tests;

/// <summary>Slots that the table keeps for a gateway.</summary>
public sealed class KeptSlotTests : IDisposable
{
    private static readonly QueueReport NewRequest = new(TimeSpan.Zero, NextWaited: null);
    private static readonly QueueReport OldWaiter = new(TimeSpan.FromSeconds(3), NextWaited: null);

    private readonly FakeTimeProvider _time = new();
    private readonly SlotTable _table;
    private readonly List<uint> _notificationsOfA = [];

    public KeptSlotTests()
    {
        _table = new SlotTable(generation: 1, _time);
        _table.SetSlots(1);
        _table.Listen("a", _notificationsOfA.Add);
        _table.Listen("b", _ => { });
    }

    [Fact]
    public void Release_RefusedGateway_IsNotifiedAndGetsTheSlotBeforeNewRequests()
    {
        RefuseAThenFree();

        Assert.Equal([1u], _notificationsOfA);
        Assert.Equal((0u, 1u, 1u), (_table.Report("a").Running, _table.Report("b").Running, _table.Report().Running));
        Assert.Equal(SlotAnswer.Full, _table.TryTake("b", NewRequest, out _));
        Assert.Equal(SlotAnswer.Granted, _table.TryTake("a", OldWaiter, out _));
    }

    [Fact]
    public void Release_CrowdWithoutABusWasRefusedBefore_TheGatewayIsStillNotified()
    {
        Assert.Equal(SlotAnswer.Granted, _table.TryTake("b", NewRequest, out var lease));
        for (var i = 0; i < 2 * SlotOffers.MostGateways; i++)
        {
            Assert.Equal(SlotAnswer.Full, _table.TryTake($"client-{i}", queue: null, out _));
        }

        Assert.Equal(SlotAnswer.Full, _table.TryTake("a", OldWaiter, out _));
        Assert.True(_table.Report("a").RemembersCaller);
        lease!.Dispose();

        Assert.Equal([1u], _notificationsOfA);
    }

    [Fact]
    public void Offer_NotTaken_EndsAfterFiftyMillisecondsForAnybody()
    {
        RefuseAThenFree();

        _time.Advance(TimeSpan.FromMilliseconds(49));
        Assert.Equal(1u, _table.Report().Running);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Equal(0u, _table.Report().Running);
        Assert.Equal(SlotAnswer.Granted, _table.TryTake("b", NewRequest, out _));
    }

    [Fact]
    public void Offer_Declined_FreesTheSlotAtOnce()
    {
        RefuseAThenFree();

        _table.Decline("a", _notificationsOfA.Single());

        Assert.Equal(0u, _table.Report().Running);
    }

    [Fact]
    public void Offer_GatewayGone_FreesTheSlotAtOnce()
    {
        Action<uint> listener = _ => { };
        _table.Listen("a", listener);
        RefuseAThenFree();

        _table.StopListening("a", _ => throw new InvalidOperationException("another bus of the same gateway"));
        Assert.Equal(1u, _table.Report().Running);
        _table.StopListening("a", listener);

        Assert.Equal(0u, _table.Report().Running);
    }

    [Fact]
    public void Drain_KeptSlot_HoldsNothingUpAndOffersNothing()
    {
        RefuseAThenFree();

        _table.SetDraining(true);

        Assert.Equal(0u, _table.Report().Running);
        Assert.True(_table.WhenIdleAsync(TestContext.Current.CancellationToken).IsCompleted);
        _table.SetDraining(false);
        Assert.Equal(SlotAnswer.Granted, _table.TryTake("b", NewRequest, out _));
    }

    [Fact]
    public void TryTake_DisplacedStreamOlderThanTheWaiter_HasTheKeptSlot()
    {
        RefuseAThenFree();

        Assert.Equal(SlotAnswer.Granted, _table.TryTake("b", new QueueReport(TimeSpan.FromSeconds(60), NextWaited: null), out var lease));
        Assert.True(_table.Report("a").RemembersCaller);
        lease!.Dispose();

        Assert.Equal(2, _notificationsOfA.Count);
    }

    [Fact]
    public void Report_GatewayOfTheReleaseBefore_IsNotRememberedAndSeesTheKeptSlotAsFree()
    {
        RefuseAThenFree();

        var report = _table.Report("of the release before");

        Assert.Equal((0u, false), (report.Running, report.RemembersCaller));
    }

    [Fact]
    public void TryTake_NobodyRefused_MakesNoOffer()
    {
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(SlotAnswer.Granted, _table.TryTake("a", new QueueReport(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)), out var lease));
            lease!.Dispose();
        }

        Assert.Empty(_notificationsOfA);
    }

    [Fact]
    public void Dispose_SlotIsKept_StopsTheClockAndLeasesMayStillBeGivenBack()
    {
        _table.SetSlots(2);
        Assert.Equal(SlotAnswer.Granted, _table.TryTake("b", NewRequest, out var last));
        RefuseAThenFree();

        _table.Dispose();

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2u, _table.Report().Running);
        last!.Dispose();
        Assert.Equal(0, _table.Running);
    }

    public void Dispose() => _table.Dispose();

    private void RefuseAThenFree()
    {
        Assert.Equal(SlotAnswer.Granted, _table.TryTake("b", NewRequest, out var lease));
        Assert.Equal(SlotAnswer.Full, _table.TryTake("a", OldWaiter, out _));
        Assert.True(_table.Report("a").RemembersCaller);
        lease!.Dispose();
    }
}
