using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Balancing;

public sealed class OtherPoliciesTests
{
    private int _arrivals;

    [Fact]
    public async Task RoundRobin_EachReplicaInTurn_WhateverItsLoad()
    {
        using var gateway = Gateway("round-robin");
        var names = new List<string>();
        for (var i = 0; i < 6; i++)
            names.Add((await Acquire(gateway)).Replica.Id.Name);

        Assert.Equal(names.Take(3).Order(StringComparer.Ordinal), ["a", "b", "c"]);
        Assert.Equal(names.Take(3), names.Skip(3));
    }

    [Fact]
    public void Random_PicksInProportionToTheWeights()
    {
        Replica[] serving = [new(Replica("a", slots: 100_000)), new(Replica("b", slots: 100_000, weight: 3))];
        var picker = new ReplicaPicker(Policy("random"), new SeededRandomSource(1));
        var heavy = Enumerable.Range(0, 10_000).Count(_ => picker.Pick(serving, Next(), TimeSpan.Zero) == serving[1]);
        Assert.InRange(heavy, 7_300, 7_700);
    }

    [Fact]
    public void LeastLatency_SlowFirstToken_IsAvoidedAtOnceAndForgottenLater()
    {
        Replica[] serving = [new(Replica("a")), new(Replica("b"))];
        var picker = new ReplicaPicker(Policy("least-latency"), new SeededRandomSource(1));
        serving[0].Pace.FirstToken(TimeSpan.FromMilliseconds(100), TimeSpan.Zero);
        serving[1].Pace.FirstToken(TimeSpan.FromMilliseconds(100), TimeSpan.Zero);
        serving[1].Pace.FirstToken(TimeSpan.FromSeconds(10), TimeSpan.Zero);

        Assert.All(Enumerable.Range(0, 20), _ => Assert.Same(serving[0], picker.Pick(serving, Next(), TimeSpan.FromMilliseconds(1))));
        // The load that the other one has meanwhile outweighs a memory that fades.
        for (var i = 0; i < 3; i++)
            serving[0].Reserve(TimeSpan.Zero);
        serving[0].Pace.FirstToken(TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
        Assert.Same(serving[1], picker.Pick(serving, Next(), TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public async Task SetPolicy_WhileRequestsWaitAndRun_LosesNoneAndAppliesToTheNextPick()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1, models: ["x", "y"]), Replica("b", slots: 1, models: ["x", "y"])));
        ReplicaLease[] held = [await Acquire(gateway, "x"), await Acquire(gateway, "x")];
        var waiting = Acquire(gateway, "x");

        gateway.Admission.SetPolicy("round-robin", "x");
        gateway.Admission.SetPolicy("random");

        Assert.Equal(("round-robin", "random"), (gateway.Admission.PolicyOf("x"), gateway.Admission.PolicyOf("y")));
        held[0].Release(fault: null);
        Assert.Equal(held[0].Replica, (await waiting).Replica);
        held[1].Release(fault: null);
        Assert.Equal(1, gateway.Admission.Leased);
        Assert.Throws<ArgumentException>(() => gateway.Admission.SetPolicy("best"));
    }

    [Fact]
    public void ModelPolicies_UnknownPolicy_IsRefused()
    {
        var options = new AdmissionOptions { ModelPolicies = new Dictionary<string, string> { ["m"] = "best" } };
        Assert.Throws<ArgumentException>(() => new Gateway(new StaticFleet(Replica("a")), options));
    }

    private static IBalancingPolicy Policy(string name) => new BalancingPolicies(BalancingPolicies.BuiltIn).Get(name);

    private static Gateway Gateway(string policy) => new(
        new StaticFleet(Replica("a", weight: 5), Replica("b"), Replica("c")), new AdmissionOptions { ModelPolicies = new Dictionary<string, string> { ["m"] = policy } });

    private Task<ReplicaLease> Acquire(Gateway gateway, string model = "m") => gateway.Admission.AcquireAsync(Next(model), default).AsTask();

    private AdmissionRequest Next(string model = "m") => new(model, new Arrival(0, ++_arrivals, 0), Displaced: false, WaitingSince: null, "", []);
}
