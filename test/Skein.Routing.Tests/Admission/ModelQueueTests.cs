using Skein.Protocol;
using Skein.Routing.Admission;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

public sealed class ModelQueueTests
{
    private readonly ClassShares _shares = new();
    private int _arrivals;

    [Fact]
    public void TenThousandWaiters_AreServedInTheExactOrderOfArrival()
    {
        var queue = new WaitingLines();
        var random = new Random(1);
        Waiter[] waiters = [.. Enumerable.Range(0, 10_000).Select(_ => Waiter())];
        // Displaced sessions join late, with an early arrival.
        foreach (var waiter in waiters.OrderBy(_ => random.Next()))
            queue.Add(waiter, tenants: null);

        foreach (var waiter in waiters)
            Assert.Same(waiter, ServeNext(queue));
        Assert.Equal(0, queue.Count);
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(30_000)]
    public void AddAndRemove_CompareWithLogarithmicallyManyWaiters(int waiters)
    {
        var order = new CountingOrder();
        var queue = new ArrivalQueue(order);
        var random = new Random(1);
        Waiter[] all = [.. Enumerable.Range(0, waiters).Select(_ => Waiter()).OrderBy(_ => random.Next())];
        // A balanced tree of red and black nodes is at most twice as deep as a full one.
        var most = 2 * Math.Log2(waiters + 1);

        foreach (var waiter in all)
            Assert.InRange(order.CountOf(() => queue.Add(waiter)), 0, most);
        // Cancelled ones leave from anywhere, served ones from the front.
        for (var i = 0; i < waiters / 2; i++)
            Assert.InRange(order.CountOf(() => queue.Remove(all[i])), 1, most + 2);
        while (queue.Count > 0)
            Assert.InRange(order.CountOf(() => queue.Remove(queue.First(_ => true)!)), 1, most + 2);
    }

    /// <summary>The next one is found without looking at those behind it.</summary>
    [Fact]
    public void Next_TenThousandWaitersOfFourClassesAndAThousandTenants_LooksAtOneOfEachClass()
    {
        var queue = new WaitingLines();
        var counters = new TenantCounters();
        for (var i = 0; i < 10_000; i++)
            queue.Add(Waiter(priority: i % 4, tenant: $"tenant-{i / 4 % 1000}"), counters);
        var looked = 0;
        for (var served = 0; served < 1_000; served++)
        {
            var waiter = queue.Next(_ => _ =>
            {
                looked++;
                return _shares;
            })!;
            queue.Serve(waiter, _shares);
        }

        Assert.InRange(looked, 1_000, 4_000);
    }

    [Fact]
    public void Classes_ShareByWeightAndNoneStarves()
    {
        var queue = new WaitingLines();
        for (var i = 0; i < 1_000; i++)
        {
            queue.Add(Waiter(priority: -1), tenants: null);
            queue.Add(Waiter(priority: 0), tenants: null);
            queue.Add(Waiter(priority: 8), tenants: null);
        }
        var served = Enumerable.Range(0, 640).Select(_ => ServeNext(queue).Request.Arrival.Priority).CountBy(priority => priority).ToDictionary();

        Assert.InRange(served[-1], 4 * served[0] - 4, 4 * served[0] + 4);
        Assert.InRange(served[8], 5, 12);
    }

    /// <summary>One client that asks again when it is answered got every second slot.</summary>
    [Fact]
    public void LightClassThatEmptiesAndComesBack_GetsItsShareOnly()
    {
        var queue = new WaitingLines();
        for (var i = 0; i < 1_000; i++)
            queue.Add(Waiter(priority: 0), tenants: null);
        queue.Add(Waiter(priority: 8), tenants: null);

        var light = 0;
        for (var i = 0; i < 640; i++)
        {
            if (ServeNext(queue).Request.Arrival.Priority != 8)
                continue;
            light++;
            queue.Add(Waiter(priority: 8), tenants: null);
        }

        Assert.InRange(light, 5, 12);
    }

    [Fact]
    public void UrgentRequest_ClassThatWasEmpty_IsNext()
    {
        var queue = new WaitingLines();
        for (var i = 0; i < 10; i++)
            queue.Add(Waiter(), tenants: null);
        for (var i = 0; i < 5; i++)
            ServeNext(queue);
        queue.Add(Waiter(priority: -2), tenants: null);

        Assert.Equal(-2, ServeNext(queue).Request.Arrival.Priority);
    }

    [Fact]
    public void Tenants_TenTimesTheDemandOfOne_GetEqualTokens()
    {
        var counters = new TenantCounters();
        var queue = new WaitingLines();
        var random = new Random(5);
        var demand = new Dictionary<string, int>(StringComparer.Ordinal) { ["big"] = 0, ["small"] = 0 };
        var tokens = new Dictionary<string, long>(StringComparer.Ordinal) { ["big"] = 0, ["small"] = 0 };
        var running = new Queue<(Waiter Waiter, double Charged)>();
        for (var round = 0; round < 4_000; round++)
        {
            // Ten requests of one tenant for each of the other, each more than is served.
            for (var i = 0; i < 10; i++)
                Add("big", promptTokens: random.Next(50, 150));
            Add("small", promptTokens: random.Next(500, 1500));
            for (var slot = 0; slot < 1; slot++)
            {
                var waiter = ServeNext(queue);
                running.Enqueue((waiter, counters.Charge(waiter.Request.Traits.Tenant, waiter.Request.Traits.PromptTokens)));
            }
            if (running.Count <= 8)
                continue;
            (var done, var charged) = running.Dequeue();
            var traits = done.Request.Traits;
            var answer = random.Next(1, traits.Tenant == "big" ? 400 : 100);
            counters.Correct(traits.Tenant, charged, traits.PromptTokens, answer, isWhole: true);
            tokens[traits.Tenant] += traits.PromptTokens + answer;
        }

        Assert.InRange(tokens["big"], 0.95 * tokens["small"], 1.05 * tokens["small"]);

        void Add(string tenant, int promptTokens)
        {
            demand[tenant]++;
            queue.Add(Waiter(tenant: tenant, promptTokens: promptTokens), counters);
        }
    }

    [Fact]
    public void Tenant_ThatWasIdle_DoesNotCatchUp()
    {
        var counters = new TenantCounters();
        var queue = new WaitingLines();
        for (var i = 0; i < 100; i++)
        {
            queue.Add(Waiter(tenant: "busy"), counters);
            ServeNext(queue);
            counters.Charge("busy", 1000);
        }
        for (var i = 0; i < 20; i++)
        {
            queue.Add(Waiter(tenant: "busy"), counters);
            queue.Add(Waiter(tenant: "new"), counters);
        }
        var served = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            served.Add(ServeNext(queue).Request.Traits.Tenant);
            counters.Charge(served[^1], 1000);
        }

        Assert.InRange(served.Count(tenant => tenant == "new"), 9, 11);
    }

    [Fact]
    public void Tenants_DisplacedSession_GoesFirst()
    {
        var queue = new WaitingLines();
        var counters = new TenantCounters();
        queue.Add(Waiter(tenant: "a"), counters);
        var displaced = Waiter(tenant: "b", displaced: true);
        queue.Add(displaced, counters);

        Assert.Same(displaced, ServeNext(queue));
    }

    [Fact]
    public async Task Acquire_PromptsOfTheQueueAboveTheirBound_AreRefused()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1)), new AdmissionOptions { QueuePromptTokens = 1000 });
        await gateway.Admission.AcquireAsync(Waiter().Request, default);
        // One prompt may be longer than the bound: otherwise it could never be served.
        _ = gateway.Admission.AcquireAsync(Waiter(promptTokens: 2000).Request, default).AsTask();

        var refused = await Assert.ThrowsAsync<FaultException>(() => gateway.Admission.AcquireAsync(Waiter(promptTokens: 1).Request, default).AsTask());

        Assert.Equal(Fault.QueueFull, refused.Fault);
        Assert.NotNull(refused.RetryAfter);
    }

    private Waiter ServeNext(WaitingLines queue)
    {
        var waiter = queue.Next(_ => _ => _shares)!;
        queue.Serve(waiter, _shares);
        return waiter;
    }

    private Waiter Waiter(int priority = 0, string tenant = "", int promptTokens = 0, bool displaced = false) => new(
        new AdmissionRequest("m", new Arrival(priority, ++_arrivals, 0), displaced, null, "", [])
        {
            Traits = new RequestTraits { Tenant = tenant, PromptTokens = promptTokens },
        },
        TimeSpan.Zero);

    private sealed class CountingOrder : IComparer<Waiter>
    {
        private int _count;

        public int Compare(Waiter? left, Waiter? right)
        {
            _count++;
            return Skein.Routing.Admission.Waiter.ByArrival.Compare(left, right);
        }

        public int CountOf(Action action)
        {
            var before = _count;
            action();
            return _count - before;
        }
    }
}
