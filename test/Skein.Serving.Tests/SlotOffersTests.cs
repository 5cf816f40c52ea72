
namespace Skein.Serving.Tests;

public class SlotOffersTests
{
    private readonly SlotOffers _offers = new();
    private readonly List<SlotOffer> _made = [];

    [Fact]
    public void Fill_FreeSlot_IsOfferedToTheOldestWaitersGateway()
    {
        Refuse("young", waitedMs: 10, atMs: 0);
        Refuse("old", waitedMs: 500, atMs: 100);
        Refuse("middle", waitedMs: 300, atMs: 200);

        Fill(free: 1, atMs: 300);
        Fill(free: 2, atMs: 301);

        Assert.Equal([new SlotOffer("old", 1), new SlotOffer("middle", 2)], _made);
        Assert.Equal(2, _offers.Kept);
    }

    [Fact]
    public void MayTake_SlotKeptForAnother_OnlyByAnOlderWaiter()
    {
        Refuse("a", waitedMs: 500, atMs: 0);
        Fill(free: 1, atMs: 0);

        Assert.True(MayTake("a", waitedMs: 0, free: 1, atMs: 1));
        Assert.False(MayTake("b", waitedMs: 501, free: 1, atMs: 1));
        Assert.True(MayTake("b", waitedMs: 502, free: 1, atMs: 1));
        Assert.Equal((0, 1), (_offers.Kept, _offers.Waiting)); // still the next one
    }

    [Fact]
    public void MayTake_MoreSlotsFreeThanKept_ByAnybody()
    {
        Refuse("a", waitedMs: 500, atMs: 0);
        Fill(free: 2, atMs: 0);

        Assert.True(MayTake("b", waitedMs: 0, free: 2, atMs: 0));
        Assert.False(MayTake("b", waitedMs: 0, free: 1, atMs: 0));
        Assert.False(MayTake("a", waitedMs: 0, free: 0, atMs: 0));
    }

    /// <summary>Slots that became free together went to the gateways in turn, however old their waiters were.</summary>
    [Fact]
    public void Fill_SlotsBecomeFreeTogether_GoInTheOrderOfAllWaiters()
    {
        Refuse("old", waitedMs: 500, atMs: 0, nextWaitedMs: 490);
        Refuse("young", waitedMs: 300, atMs: 0);

        Fill(free: 3, atMs: 0);
        Took("old", waitedMs: 501, nextWaitedMs: 491, atMs: 1);
        Fill(free: 2, atMs: 1);
        Took("old", waitedMs: 492, nextWaitedMs: 100, atMs: 2);
        Fill(free: 1, atMs: 2);

        Assert.Equal(["old", "old", "young"], _made.Select(offer => offer.Gateway));
    }

    [Fact]
    public void Fill_NextWaiterOfAGatewayWithAnOfferIsYounger_NoSlotIsHeldBack()
    {
        Refuse("old", waitedMs: 500, atMs: 0, nextWaitedMs: 100);
        Refuse("young", waitedMs: 300, atMs: 0);

        Fill(free: 2, atMs: 0);

        Assert.Equal(["old", "young"], _made.Select(offer => offer.Gateway));
    }

    [Fact]
    public void Fill_GatewayWithAnOfferIsSilent_SlotsAreHeldBackUntilItsOfferEnds()
    {
        Refuse("silent", waitedMs: 500, atMs: 0, nextWaitedMs: 490);
        Refuse("other", waitedMs: 300, atMs: 0);

        Fill(free: 2, atMs: 0);
        Assert.Single(_made);
        Assert.Equal(100, Fill(free: 2, atMs: 50));

        Assert.Equal(["silent", "other"], _made.Select(offer => offer.Gateway));
    }

    [Fact]
    public void MayTake_SlotIsHeldBack_OnlyByTheOldestWaiterOfAll()
    {
        Refuse("old", waitedMs: 500, atMs: 0, nextWaitedMs: 490);
        Refuse("young", waitedMs: 300, atMs: 0);
        Fill(free: 2, atMs: 0);

        Assert.False(MayTake("young", waitedMs: 300, free: 2, atMs: 0));
        Assert.False(MayTake("new", waitedMs: 0, free: 2, atMs: 0));
        Assert.True(MayTake("new", waitedMs: 495, free: 2, atMs: 0));
        Assert.True(MayTake("old", waitedMs: 490, free: 2, atMs: 0));
    }

    /// <summary>Each replica remembered the oldest waiter of a gateway until its own next offer, even if another replica had served it.</summary>
    [Fact]
    public void MayTake_WaiterOfTheOfferWasServedElsewhere_SlotGoesToTheOlderOneOfAnotherGateway()
    {
        Refuse("a", waitedMs: 500, atMs: 0);
        Refuse("b", waitedMs: 300, atMs: 0);
        Fill(free: 1, atMs: 0);

        Assert.True(MayTake("a", waitedMs: 250, free: 1, atMs: 0));
        Assert.False(MayTake("a", waitedMs: 150, free: 1, atMs: 0));
        Refuse("a", waitedMs: 150, atMs: 0);
        Fill(free: 1, atMs: 0);

        Assert.Equal(["a", "b"], _made.Select(offer => offer.Gateway));
        Took("b", nextWaitedMs: 100, atMs: 1, waitedMs: 301);
        Fill(free: 1, atMs: 2);
        Assert.Equal("a", _made[^1].Gateway);
    }

    [Fact]
    public void Fill_OfferNotTakenInFiftyMilliseconds_GoesToTheNextAndIsNotRepeated()
    {
        Refuse("silent", waitedMs: 500, atMs: 0);
        Refuse("next", waitedMs: 100, atMs: 0);
        Assert.Equal(50, Fill(free: 1, atMs: 0));

        Assert.Equal(50, Fill(free: 1, atMs: 49));
        Assert.Equal(100, Fill(free: 1, atMs: 50));
        Assert.Null(Fill(free: 1, atMs: 100));

        Assert.Equal(["silent", "next"], _made.Select(offer => offer.Gateway));
        Assert.Equal((0, 0), (_offers.Kept, _offers.Waiting));
    }

    [Fact]
    public void Decline_OfAnOfferThatIsOver_ChangesNothing()
    {
        Refuse("a", waitedMs: 500, atMs: 0);
        Fill(free: 1, atMs: 0);
        Took("a", nextWaitedMs: 400, atMs: 1);
        Fill(free: 1, atMs: 2);

        _offers.Decline("a", 1);
        Assert.Equal(1, _offers.Kept);
        _offers.Decline("a", 2);

        Assert.Equal((0, 0), (_offers.Kept, _offers.Waiting));
    }

    [Fact]
    public void Took_WithAnotherBehind_IsRememberedOnlyWhileSomebodyWaits()
    {
        Took("alone", nextWaitedMs: 400, atMs: 0);
        Assert.Equal(0, _offers.Waiting);

        Refuse("other", waitedMs: 100, atMs: 0);
        Took("alone", nextWaitedMs: 400, atMs: 0);
        Fill(free: 1, atMs: 0);

        Assert.Equal("alone", Assert.Single(_made).Gateway);
    }

    [Fact]
    public void Refused_Again_KeepsTheOldestWaiter()
    {
        Refuse("a", waitedMs: 500, atMs: 0);
        Refuse("a", waitedMs: 1, atMs: 1);
        Refuse("b", waitedMs: 400, atMs: 1);
        Fill(free: 1, atMs: 1);

        Assert.Equal("a", Assert.Single(_made).Gateway);
    }

    [Fact]
    public void Refused_TellsNothing_IsOfferedNothingButGrowsOld()
    {
        _offers.Refused("of the release before", queue: null, takesOffers: false, At(0));
        Refuse("a", waitedMs: 100, atMs: 1000);
        Fill(free: 1, atMs: 1000);

        Assert.Equal("a", Assert.Single(_made).Gateway);
        Assert.False(_offers.MayTake("a third", queue: null, free: 1, At(1001)));
        Assert.True(_offers.MayTake("of the release before", queue: null, free: 1, At(1001)));
    }

    [Fact]
    public void Refused_TellsNothingAndAsksOn_StillGrowsOld()
    {
        for (var atMs = 0; atMs <= 60_000; atMs += 6000)
        {
            _offers.Refused("of the release before", queue: null, takesOffers: false, At(atMs));
        }

        Refuse("a", waitedMs: 59_000, atMs: 60_000);
        Fill(free: 1, atMs: 60_000);

        Assert.True(_offers.MayTake("of the release before", queue: null, free: 1, At(60_001)));
    }

    [Fact]
    public void Refused_SendsNoReportForLong_IsTreatedAsNew()
    {
        _offers.Refused("of the release before", queue: null, takesOffers: false, At(0));
        Refuse("a", waitedMs: 100, atMs: 3_600_000);
        Fill(free: 1, atMs: 3_600_000);

        Assert.False(_offers.MayTake("of the release before", queue: null, free: 1, At(3_600_001)));
    }

    [Fact]
    public void Refused_CrowdThatTellsNothingIsGone_OthersAreNotedAgain()
    {
        for (var i = 0; i < 3 * SlotOffers.MostGateways; i++)
        {
            _offers.Refused($"client-{i}", queue: null, takesOffers: false, At(i));
        }

        _offers.Refused("of the release before", queue: null, takesOffers: false, At(60_000));
        Refuse("a", waitedMs: 100, atMs: 61_000);
        Fill(free: 1, atMs: 61_000);

        Assert.Single(_made);
        Assert.True(_offers.MayTake("of the release before", queue: null, free: 1, At(61_001)));
    }

    [Fact]
    public void Refused_MoreGatewaysThanRows_AreNotRemembered()
    {
        for (var i = 0; i < 2 * SlotOffers.MostGateways; i++)
        {
            Refuse($"gateway-{i}", waitedMs: i, atMs: 0);
        }

        Assert.Equal(SlotOffers.MostGateways, _offers.Waiting);
    }

    /// <summary>In any order of events, the kept slots are the offers that have not ended, and never more than the free slots at the time of the offer.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void AnyOrder_KeptSlots_AreNeverLeakedNorMoreThanFree(int seed)
    {
        const int Slots = 4;
        const int Names = 6;
        var random = new Random(seed);
        var running = 0;
        for (var atMs = 0; atMs < 20_000; atMs += random.Next(20))
        {
            var name = $"g{random.Next(Names)}";
            QueueReport? report = random.Next(5) == 0 ? null : new QueueReport(Milliseconds(random.Next(2000)), random.Next(2) == 0 ? null : Milliseconds(random.Next(2000)));
            switch (random.Next(6))
            {
                case 0 when running > 0:
                    running--;
                    break;
                case 1:
                    _offers.Forget(name);
                    break;
                case 2:
                    _offers.Decline(name, (uint)Math.Max(0, _made.Count - random.Next(4)));
                    break;
                default:
                    if (_offers.MayTake(name, report, Slots - running, At(atMs)))
                    {
                        _offers.Took(name, report, At(atMs));
                        running++;
                    }
                    else
                    {
                        _offers.Refused(name, report, takesOffers: report is not null, At(atMs));
                    }

                    break;
            }

            Fill(Slots - running, atMs);
            Assert.InRange(_offers.Kept, 0, Slots - running);
            // Slots are held back only as long as an offer lasts.
            Assert.True(_offers.Kept > 0 || running == Slots || _offers.Waiting == 0, "a slot is neither kept nor free for all while gateways wait");
            Assert.Equal(_offers.Kept, Enumerable.Range(0, Names).Count(i => _offers.KeptFrom($"g{i}") < _offers.Kept));
        }

        Assert.True(_made.Count > 50, $"{_made.Count} offers say little");
        for (var i = 0; i <= Names; i++)
        {
            Fill(Slots - running, 30_000 + (i * 1000)); // one offer for each, one after the other if only one slot is free
        }

        Assert.Equal(0, _offers.Kept);
    }

    private static TimeSpan At(int milliseconds) => TimeSpan.FromHours(1) + Milliseconds(milliseconds);

    private static TimeSpan Milliseconds(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);

    private void Refuse(string gateway, int waitedMs, int atMs, int? nextWaitedMs = null) =>
        _offers.Refused(gateway, new QueueReport(Milliseconds(waitedMs), nextWaitedMs is { } next ? Milliseconds(next) : null), takesOffers: true, At(atMs));

    private void Took(string gateway, int nextWaitedMs, int atMs, int waitedMs = 0) =>
        _offers.Took(gateway, new QueueReport(Milliseconds(waitedMs), Milliseconds(nextWaitedMs)), At(atMs));

    private bool MayTake(string gateway, int waitedMs, int free, int atMs) =>
        _offers.MayTake(gateway, new QueueReport(Milliseconds(waitedMs), NextWaited: null), free, At(atMs));

    private double? Fill(int free, int atMs) => (_offers.Fill(free, At(atMs), _made) - At(0))?.TotalMilliseconds;
}
