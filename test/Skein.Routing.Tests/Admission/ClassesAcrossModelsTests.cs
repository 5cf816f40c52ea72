using Skein.Routing.Admission;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

/// <summary>Priority classes of different models that share replicas.</summary>
public sealed class ClassesAcrossModelsTests
{
    private int _arrivals;

    [Theory]
    [InlineData("x", "y")]
    [InlineData("y", "x")]
    public async Task LightClassOfAnotherModel_OnTheSameReplica_GetsItsShare(string urgent, string light)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1, models: ["x", "y"])));
        var held = await Acquire(gateway, "x", priority: 0);
        var waiting = Many(gateway, urgent, priority: 0).Concat(Many(gateway, light, priority: 8)).ToList();

        var served = await ServeAsync(gateway, held, waiting, rounds: 200);

        // One turn in 65: the share of the lightest class.
        Assert.InRange(served.Count(model => model == light), 2, 4);
    }

    [Fact]
    public async Task ClassesOfTwoModels_ShareAsIfOfOne()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a", slots: 1, models: ["x", "y"])));
        var held = await Acquire(gateway, "x", priority: 0);
        var waiting = Many(gateway, "x", priority: 0).Concat(Many(gateway, "y", priority: 1)).Concat(Many(gateway, "x", priority: 1)).ToList();

        var served = await ServeAsync(gateway, held, waiting, rounds: 200);

        // Requests of the same class are served in the order of arrival, whatever their model: those of y came first.
        Assert.InRange(served.Count(model => model == "y"), 38, 42);
    }

    /// <summary>What a class gets where no other can use the slots does not count against it elsewhere.</summary>
    [Fact]
    public async Task LightClass_WithAReplicaOfItsOwn_KeepsItsShareOfTheSharedOne()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("own", slots: 1, models: ["y"]), Replica("shared", slots: 1, models: ["x", "y"])));
        List<ReplicaLease> held = [await Acquire(gateway, "y", priority: 0), await Acquire(gateway, "y", priority: 0)];
        var own = held.Single(lease => lease.Replica.Id.Name == "own");
        var shared = held.Single(lease => lease.Replica.Id.Name == "shared");
        var waiting = Many(gateway, "x", priority: 0, count: 300).Concat(Many(gateway, "y", priority: 8, count: 500)).ToList();

        var onShared = new List<string>();
        for (var i = 0; i < 200; i++)
        {
            // The light class's own replica is twice as fast.
            own = await NextAsync(own, waiting);
            own = await NextAsync(own, waiting);
            shared = await NextAsync(shared, waiting);
            onShared.Add(shared.Reservation.Request!.Model);
        }

        Assert.InRange(onShared.Count(model => model == "y"), 2, 4);
    }

    private static async Task<List<string>> ServeAsync(Gateway gateway, ReplicaLease held, List<Task<ReplicaLease>> waiting, int rounds)
    {
        var served = new List<string>();
        for (var i = 0; i < rounds; i++)
        {
            held = await NextAsync(held, waiting);
            served.Add(held.Reservation.Request!.Model);
        }
        Assert.Equal(waiting.Count, gateway.Admission.Waiting);
        return served;
    }

    /// <summary>Gives a slot back, and returns the lease of the waiter that got it.</summary>
    private static async Task<ReplicaLease> NextAsync(ReplicaLease held, List<Task<ReplicaLease>> waiting)
    {
        held.Release(fault: null);
        var next = await Task.WhenAny(waiting);
        waiting.Remove(next);
        return await next;
    }

    private Task<ReplicaLease>[] Many(Gateway gateway, string model, int priority, int count = 250) =>
        [.. Enumerable.Range(0, count).Select(_ => Acquire(gateway, model, priority))];

    private Task<ReplicaLease> Acquire(Gateway gateway, string model, int priority) => gateway.Admission.AcquireAsync(
        new AdmissionRequest(model, new Arrival(priority, ++_arrivals, 0), Displaced: false, WaitingSince: null, "", []), default).AsTask();
}
