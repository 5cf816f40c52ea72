using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Health;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

/// <summary>What refused callers are told is kept. In virtual time, on production's admission core.</summary>
public sealed class RetryAfterTests
{
    [Theory]
    [InlineData(1.0, 0.9)]
    [InlineData(0.7, 0.9)]
    public void OverloadEnds_CallersThatObey_AreAdmittedAtTheirFirstReturn(double loadAfter, double share)
    {
        for (var seed = 1; seed <= 3; seed++)
        {
            var clients = new ObedientClients(slots: 8, seed);
            // Twice what can be served, for 30 s, then what can be served.
            clients.Run(overload: 2, until: 30, loadAfter, end: 120);

            Assert.InRange(clients.FirstReturns, 200, int.MaxValue);
            Assert.True(
                clients.AdmittedAtFirstReturn >= share * clients.FirstReturns,
                $"seed {seed}: {clients.AdmittedAtFirstReturn} of {clients.FirstReturns} were admitted at their first return");
            Assert.Equal(0, clients.IdleSlotsWhileCallersWereTold);
        }
    }

    [Fact]
    public void TwentyfoldOverload_KeepsTheSlotsBusyAndTheQueueBounded()
    {
        var clients = new ObedientClients(slots: 8, seed: 1);
        clients.Run(overload: 20, until: 60, loadAfter: 0, end: 600);

        Assert.InRange(clients.Longest, 1, ObedientClients.QueueLength);
        Assert.InRange(clients.ServedBy(60), 0.95 * 60 * 8, double.MaxValue);
        Assert.Equal(clients.Refused, clients.Told);
        Assert.True(clients.ServedInOrder);
        Assert.Equal(0, clients.Waiting);
    }

    [Fact]
    public void ColdBurst_IsToldDifferentTimesNotFarFromTheTruth()
    {
        // 600 requests at once on one slot of 16 ms each: all served after 10 s.
        var times = new ObedientClients(slots: 1, seed: 1, meanHold: 0.016, queueLength: 512).Burst(600);

        Assert.Equal(87, times.Distinct().Count());
        Assert.InRange(times.Max().TotalSeconds, 0.5, 30);
    }

    /// <summary>With one slot and nothing measured, each return was told 275 ms: an SDK with five retries gave up after 1.5 s of an answer of 1.6 s.</summary>
    [Theory]
    [InlineData(false, 7)]
    [InlineData(true, 9)]
    public void SlotIsHeldForLongerThanKnown_CallerIsToldLongerTimes(bool hasMeasured, int most)
    {
        var core = WithoutQueue(slots: 1);
        var now = TimeSpan.FromSeconds(1);
        if (hasMeasured)
            core.Release(core.TryReserve(Asked(), now)!.Value, fault: null, now += TimeSpan.FromSeconds(0.5));
        var ends = now + TimeSpan.FromSeconds(20);
        var running = core.TryReserve(Asked(), now)!.Value;
        now += TimeSpan.FromSeconds(0.1);

        var returns = 0;
        for (; now < ends; returns++)
            now += Assert.Throws<FaultException>(() => core.Enqueue(Asked(isRetry: returns > 0), now)).RetryAfter!.Value;
        core.Release(running, fault: null, ends);

        Assert.NotNull(core.TryReserve(Asked(isRetry: true), now));
        Assert.InRange(returns, 1, most);
    }

    /// <summary>Answers of about the same length that began together end together: that none has ended yet is no sign that they are longer than known.</summary>
    [Fact]
    public void SlotsAreHeldTogetherForAsLongAsKnown_CallerIsToldNoLongerTime()
    {
        var core = WithoutQueue(slots: 16);
        var (now, hold) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10));
        core.Release(core.TryReserve(Asked(), now)!.Value, fault: null, now += hold);
        for (var i = 0; i < 16; i++)
            Assert.NotNull(core.TryReserve(Asked(), now));

        var told = Assert.Throws<FaultException>(() => core.Enqueue(Asked(), now + (0.95 * hold))).RetryAfter!.Value;

        Assert.InRange(told.TotalSeconds, 0.1, 2);
    }

    /// <summary>A queue of one place has no time between two grants in it: a measurement of these alone would never end.</summary>
    [Theory]
    [InlineData(1, 100, 0.1)]
    [InlineData(1, 30, 0.5)]
    [InlineData(4, 1000, 0.1)]
    public void AnswersWereLongAndAreShort_TheQueueHasItsPlacesAgain(int slots, double longHold, double shortHold)
    {
        var line = new Line(slots);

        line.Serve(longHold, answers: 200 * slots);
        Assert.InRange(line.Fill(), 1, ObedientClients.QueueLength / 2);
        line.Serve(shortHold, answers: 300 * slots);

        Assert.Equal(ObedientClients.QueueLength, line.Fill());
    }

    /// <summary>With one place in the queue, nothing but the use of the slots tells that there are more of them.</summary>
    [Fact]
    public void SlotsWereFewAndAreMany_TheQueueHasItsPlacesAgain()
    {
        var few = new Line(slots: 1);
        few.Serve(hold: 40, answers: 200);
        Assert.InRange(few.Fill(), 1, 2);

        few.SetSlots(64);
        few.Serve(hold: 40, answers: 2000);

        Assert.Equal(ObedientClients.QueueLength, few.Fill());
    }

    /// <summary>Requests of another model had nearly all slots.</summary>
    [Fact]
    public void OtherModelHadTheSlots_TheQueueHasItsPlacesAgain()
    {
        var line = new Line(slots: 16);
        line.Lease("other", 15);
        line.Serve(hold: 40, answers: 200);
        Assert.InRange(line.Fill(), 1, 2);

        line.End("other");
        line.Serve(hold: 40, answers: 1000);

        Assert.InRange(line.Fill(), 16, ObedientClients.QueueLength);
    }

    /// <summary>Nothing was measured by answers whose clients left: callers were told the time of the assumption.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData(Fault.Cancelled)]
    [InlineData(Fault.DeadlineExceeded)]
    public void AnswersEndByTheirClients_CallerIsToldTheTimeThatTheyTake(Fault? fault)
    {
        var core = WithoutQueue(slots: 1);
        var (now, hold) = (TimeSpan.Zero, TimeSpan.FromSeconds(5));
        for (var i = 0; i < 100; i++)
            core.Release(core.TryReserve(Asked(), now)!.Value, fault, now += hold);
        Assert.NotNull(core.TryReserve(Asked(), now));

        var told = Assert.Throws<FaultException>(() => core.Enqueue(Asked(), now)).RetryAfter!.Value;

        Assert.InRange(told, hold, 1.2 * hold);
    }

    /// <summary>The first answers that end are short ones: their mean says that all are.</summary>
    [Fact]
    public void FirstAnswersEnd_CallersAreToldTheTimeOfAllThatRun()
    {
        const int Slots = 16;
        var core = WithoutQueue(Slots);
        List<Reservation> running = [.. Enumerable.Range(0, Slots).Select(_ => core.TryReserve(Asked(), TimeSpan.Zero)!.Value)];
        // Four short answers, one after the other, beside 15 that go on.
        var now = TimeSpan.Zero;
        for (var i = 0; i < 4; i++)
        {
            core.Release(running[0], fault: null, now += TimeSpan.FromSeconds(0.2));
            running[0] = core.TryReserve(Asked(), now)!.Value;
        }

        var times = Enumerable.Range(0, 51).Select(_ => Assert.Throws<FaultException>(() => core.Enqueue(Asked(), now)).RetryAfter!.Value).ToList();

        // One ended each 0.2 s.
        Assert.InRange((times[^1] - times[0]).TotalSeconds / 50, 0.1, 0.3);
    }

    /// <summary>Before anything was measured, a gateway that counts the slots of others too tells its callers to come back too early.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void SlotsAreSharedWithOtherGateways_CallersAreToldTheTimesOfItsShare(int gateways)
    {
        const int Slots = 8;
        var replica = new Replica(Replica("a", Slots));
        var core = WithQueue(length: 0, replica);
        var now = TimeSpan.FromSeconds(1);
        for (var i = 0; i < Slots / gateways; i++)
            Assert.NotNull(core.TryReserve(Asked(), now));
        core.Report(replica, new LoadReport { Generation = 1, Sequence = 1, Slots = Slots, Running = Slots, RunningForCaller = (uint)(Slots / gateways) }, now);

        var times = Enumerable.Range(0, 100).Select(_ => Assert.Throws<FaultException>(() => core.Enqueue(Asked(), now)).RetryAfter!.Value).ToList();

        var each = RetryAfterEstimator.AssumedHold.TotalSeconds / (Slots / gateways);
        Assert.InRange((times[^1] - times[0]).TotalSeconds, 99 * each, 99 * 1.2 * each);
    }

    [Fact]
    public void MoreCallersThanCanBeTold_AreToldDifferentTimes()
    {
        var times = new ObedientClients(slots: 1, seed: 1).Burst(600);

        Assert.Equal(times.Count, times.Distinct().Count());
        Assert.InRange(times.Max(), TimeSpan.Zero, RetryAfterEstimator.Longest);
    }

    private static AdmissionCore WithoutQueue(int slots) => WithQueue(length: 0, slots);

    private static AdmissionCore WithQueue(int length, int slots) => WithQueue(length, new Replica(Replica("a", slots)));

    private static AdmissionCore WithQueue(int length, Replica replica)
    {
        var core = new AdmissionCore(
            new AdmissionOptions { QueueLength = length }, new HealthOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn).Get(BalancingPolicies.Default),
            new SeededRandomSource(1));
        core.Update(new FleetSnapshot([replica], [], complete: true), TimeSpan.Zero, []);
        return core;
    }

    private static AdmissionRequest Asked(bool isRetry = false, long sequence = 1) => new("m", new Arrival(0, sequence, 0), Displaced: false, null, "", [])
    {
        Traits = new RequestTraits { IsRetry = isRetry },
    };

    /// <summary>A queue that is always full. Those who are refused do not return.</summary>
    private sealed class Line
    {
        private readonly Queue<Reservation> _running = [];
        private readonly Queue<Reservation> _ofOthers = [];
        private readonly AdmissionCore _core = WithQueue(ObedientClients.QueueLength, new Replica(Describe(slots: 1)));
        private TimeSpan _now;
        private long _asked;
        private int _slots;

        public Line(int slots) => SetSlots(slots);

        public void SetSlots(int slots)
        {
            _slots = slots;
            _core.Fleet.Replicas[0].Description = Describe(slots);
        }

        public void Lease(string model, int slots)
        {
            for (var i = 0; i < slots; i++)
                _ofOthers.Enqueue(_core.TryReserve(Asked() with { Model = model }, _now)!.Value);
        }

        public void End(string model)
        {
            while (_ofOthers.TryDequeue(out var slot))
                _core.Release(slot, fault: null, _now);
        }

        /// <summary>As many callers as answers.</summary>
        public void Serve(double hold, int answers)
        {
            for (var i = 0; i < answers; i++)
            {
                Ask();
                if (_running.Count + _ofOthers.Count < _slots)
                    continue;
                _now += TimeSpan.FromSeconds(hold / _running.Count);
                _core.Release(_running.Dequeue(), fault: null, _now);
                var grants = new List<(Waiter Waiter, Reservation Slot)>();
                _core.Dispatch(_now, grants);
                foreach (var (_, slot) in grants)
                    _running.Enqueue(slot);
            }
        }

        /// <returns>How many wait then.</returns>
        public int Fill()
        {
            while (Ask())
            {
            }

            return _core.Waiting;
        }

        private bool Ask()
        {
            try
            {
                // Those who were told to come back have the last places.
                if (_core.TryReserve(Asked(), _now) is { } slot)
                    _running.Enqueue(slot);
                else
                    _core.Enqueue(Asked(isRetry: true, ++_asked), _now);
                return true;
            }
            catch (FaultException)
            {
                return false;
            }
        }

        private static ReplicaDescription Describe(int slots) => Replica("a", slots) with { Models = ["m", "other"] };
    }
}
