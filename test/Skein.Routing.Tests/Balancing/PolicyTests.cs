using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Balancing;

public sealed class PolicyTests
{
    private static readonly BalancingPolicies Policies = new(BalancingPolicies.BuiltIn);

    [Theory]
    [InlineData(new[] { 3.0, 1.0, 2.0 }, new[] { 1.0, 1.0, 1.0 }, 1)]
    [InlineData(new[] { 3.0, 3.0, 3.0 }, new[] { 1.0, 2.0, 1.5 }, 1)]
    [InlineData(new[] { 0.0, 5.0 }, new[] { 1.0, 10.0 }, 1)]
    [InlineData(new[] { 0.0, 19.5 }, new[] { 0.1, 2.0 }, 0)]
    public void WeightedLeastConnections_PicksTheLowestScore(double[] loads, double[] weights, int expected)
    {
        BalancingCandidate[] candidates = [.. loads.Zip(weights, (load, weight) => new BalancingCandidate(new Replica(Replica("r", weight: weight)), load))];
        Assert.Equal(expected, Pick(BalancingPolicies.Default, candidates, new SeededRandomSource(3)));
    }

    [Fact]
    public void WeightedLeastConnections_Ties_AreBrokenEvenly()
    {
        BalancingCandidate[] candidates = [.. Enumerable.Range(0, 4).Select(_ => new BalancingCandidate(new Replica(Replica("r")), 1))];
        var random = new SeededRandomSource(5);
        var hits = new int[4];
        for (var i = 0; i < 40_000; i++)
            hits[Pick(BalancingPolicies.Default, candidates, random)]++;
        Assert.All(hits, count => Assert.InRange(count, 9_500, 10_500));
    }

    [Fact]
    public void PowerOfTwoChoices_NeverPicksTheWorstOfThree()
    {
        BalancingCandidate[] candidates = [.. new[] { 1.0, 9.0, 2.0 }.Select(load => new BalancingCandidate(new Replica(Replica("r")), load))];
        var random = new SeededRandomSource(5);
        for (var i = 0; i < 1_000; i++)
            Assert.NotEqual(1, Pick("power-of-two-choices", candidates, random));
    }

    [Fact]
    public void Get_UnknownName_SaysWhichAreKnown()
    {
        var error = Assert.Throws<ArgumentException>(() => Policies.Get("fastest"));
        var known = string.Join(", ", BalancingPolicies.BuiltIn.Select(policy => policy.Name).Order(StringComparer.Ordinal));
        Assert.Equal($"balancing policy 'fastest' is unknown; known are {known}", error.Message);
    }

    [Fact]
    public void Create_SameNameTwice_IsRefused()
    {
        var error = Assert.Throws<ArgumentException>(() => new BalancingPolicies([.. BalancingPolicies.BuiltIn, .. BalancingPolicies.BuiltIn.Take(1)]));
        Assert.Equal($"balancing policy '{BalancingPolicies.BuiltIn[0].Name}' is registered 2 times; allowed: once", error.Message);
    }

    [Fact]
    public async Task AcquireAsync_PolicyOfAnotherAssembly_SeesTheRequest()
    {
        var policy = new LastCandidate();
        using var fleet = new FleetTracker(new StaticFleet(Replica("a"), Replica("b")));
        using var admission = new AdmissionQueue(
            new AdmissionOptions { Policy = policy.Name }, new BalancingPolicies([.. BalancingPolicies.BuiltIn, policy]), fleet, TimeProvider.System, new SeededRandomSource(1));

        using var lease = await admission.AcquireAsync(
            new AdmissionRequest("m", new Arrival(0, 1, 0), false, null, "", []) 
            {
                Traits = new RequestTraits { SessionKey = "agent-7", PrefixHashes = new ulong[] { 1, 2 } },
            },
            default);

        Assert.Equal("b", lease.Replica.Id.Name);
        Assert.Equal("m agent-7 1,2", policy.Seen);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(256)]
    public void Pick_BuiltInPolicies_AllocateNothing(int replicas)
    {
        Replica[] serving = [.. Enumerable.Range(0, replicas).Select(i => new Replica(Replica($"r{i}", weight: 1 + (i % 3))))];
        // With a session key, with prefixes that are new, known and too frequent, and with nothing to go by.
        RequestTraits[] traits =
        [
            RequestTraits.None, new RequestTraits { SessionKey = "session" },
            .. Enumerable.Range(0, 100).Select(i => new RequestTraits { PrefixHashes = new ulong[] { 1, SeededRandomSource.Mix((ulong)(i % 70)), (ulong)i } }),
        ];
        AdmissionRequest[] requests = [.. traits.Select((its, i) => new AdmissionRequest("m", new Arrival(0, i, 0), false, null, "", []) { Traits = its })];
        foreach (var policy in BalancingPolicies.BuiltIn)
        {
            var picker = new ReplicaPicker(policy.ForModel(), new SeededRandomSource(1));
            picker.Pick(serving, requests[0], TimeSpan.Zero);
            var before = GC.GetAllocatedBytesForCurrentThread();
            foreach (var request in requests)
                picker.Pick(serving, request, TimeSpan.Zero);
            Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
        }
    }

    private static int Pick(string policy, BalancingCandidate[] candidates, IRandomSource random) =>
        Policies.Get(policy).Pick(new PickContext { Candidates = candidates, Random = random, Model = "m" });

    private sealed class LastCandidate : IBalancingPolicy
    {
        public string Name => "last-candidate";

        public string? Seen { get; private set; }

        public int Pick(in PickContext context)
        {
            Seen = $"{context.Model} {context.SessionKey} {string.Join(",", context.PrefixHashes.ToArray())}";
            return context.Candidates.Length - 1;
        }
    }
}
