using System.Collections.Frozen;
using Skein.Protocol;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

/// <summary>Requests that may be what killed their replicas.</summary>
public sealed class SuspectTests
{
    private int _arrivals;

    [Fact]
    public async Task Acquire_SeveralSuspects_RunOneAtATimeWhileOthersGoOn()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        var first = await Acquire(gateway, isSuspect: true);
        var second = Acquire(gateway, isSuspect: true);
        var third = Acquire(gateway, isSuspect: true);

        (await Acquire(gateway, isSuspect: false)).Release(fault: null);
        Assert.False(second.IsCompleted);
        first.Clear();
        var cleared = await second;
        Assert.False(third.IsCompleted);
        cleared.Release(Fault.ConnectionLost);
        first.Release(fault: null);
        (await third).Release(fault: null);

        Assert.Equal(0, gateway.Admission.Leased);
    }

    /// <summary>Its first token cleared the first one: its end says nothing of the second one, which has not been cleared.</summary>
    [Fact]
    public async Task Release_OfAClearedSuspect_DoesNotLetTheNextButOneRun()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        var first = await Acquire(gateway, isSuspect: true);
        first.Clear();
        var second = await Acquire(gateway, isSuspect: true);
        var third = Acquire(gateway, isSuspect: true);

        first.Release(fault: null);

        Assert.False(third.IsCompleted);
        second.Release(fault: null);
        await third;
    }

    [Fact]
    public async Task Acquire_SuspectAndOneLiveReplica_WaitsForAnotherOneAndSaysSo()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        var waiting = Acquire(gateway, isSuspect: true);
        var unlucky = Acquire(gateway, isSuspect: true);
        Assert.False(waiting.IsCompleted);

        gateway.Source.Set(Replica("a"), Replica("b"));
        await waiting;
        gateway.Source.Set(Replica("a"));
        (await waiting).Release(fault: null);
        Assert.False(unlucky.IsCompleted);
        gateway.Time.Advance(TimeSpan.FromSeconds(31));

        var error = await Assert.ThrowsAsync<FaultException>(() => unlucky);
        Assert.Equal(Fault.StreamLost, error.Fault);
        Assert.StartsWith("two replicas died on this request", error.Message, StringComparison.Ordinal);
    }

    /// <summary>Two requests that killed two servers each within milliseconds must not run before both are known as suspect.</summary>
    [Fact]
    public async Task Acquire_SuspectFromLater_WaitsThoughReplicasAreFree()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b")));
        var waiting = gateway.Admission.AcquireAsync(
            new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: true, WaitingSince: null, Fingerprint: "", Excluded: [])
            {
                SuspectFrom = TimeSpan.FromMilliseconds(900),
            },
            CancellationToken.None).AsTask();
        Pass(gateway, 850);
        Assert.False(waiting.IsCompleted);
        Pass(gateway, 100);

        (await waiting).Release(fault: null);
    }

    [Fact]
    public async Task Acquire_FailedReplicaIsTheOnlyOne_IsAskedAgainAtItsTimeAndNotBefore()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        var id = gateway.Fleet.Current.Replicas[0].Id;
        var waiting = Acquire(gateway, isSuspect: false, (id, TimeSpan.FromMilliseconds(400)));
        Pass(gateway, 350);
        Assert.False(waiting.IsCompleted);
        Pass(gateway, 100);

        Assert.Equal(id, (await waiting).Replica.Id);
    }

    [Fact]
    public async Task Acquire_FailedReplicaBesideAFullOne_WaitsForThatOne()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b", slots: 1)));
        var held = await Acquire(gateway, isSuspect: false, (new ReplicaId("a", 1), TimeSpan.Zero));
        Assert.Equal("b", held.Replica.Id.Name);
        var waiting = Acquire(gateway, isSuspect: false, (new ReplicaId("a", 1), TimeSpan.Zero));
        Pass(gateway, 500);
        Assert.False(waiting.IsCompleted);

        held.Release(fault: null);
        Assert.Equal("b", (await waiting).Replica.Id.Name);
    }

    /// <summary>Every server dies in the same instant and is back a second later: none of the streams is to blame.</summary>
    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(4)]
    public async Task Sessions_AllReplicasDieAtOnceAndComeBack_GoOn(int diedAt)
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a"), Replica("b"), Replica("c")));
        var areDown = false;
        gateway.Link.Script = (_, attempt, at) =>
        {
            areDown |= attempt == 1 && at == diedAt;
            return areDown ? Act.BreakConnection : Act.Answer;
        };

        IGenerationSession[] sessions = [.. Enumerable.Range(0, 6).Select(i => gateway.Sessions.Start(Gateway.Request(8, seed: (ulong)i)))];
        Task<Received[]>[] readings = [.. sessions.Select(session => Received.AllAsync(session))];
        await gateway.UntilWaitingAsync(waiters: 6);
        gateway.Link.Script = (_, _, _) => Act.Answer;
        gateway.Source.Set(Replica("a", generation: 2), Replica("b", generation: 2), Replica("c", generation: 2));

        var all = Task.WhenAll(readings);
        while (!all.IsCompleted)
        {
            // Those before their first token are suspect, and run one after the other.
            Pass(gateway, 50);
            await Task.Yield();
        }
        var received = await all;
        Assert.All(received.Index(), one => Assert.Equal(ScriptedLink.TextOf((ulong)one.Index, 8), Assert.Single(one.Item).Text));
        foreach (var session in sessions)
            await session.DisposeAsync();
        Assert.Equal(0, gateway.Admission.Leased);
    }

    private Task<ReplicaLease> Acquire(Gateway gateway, bool isSuspect, params (ReplicaId Replica, TimeSpan At)[] failed) =>
        gateway.Admission.AcquireAsync(
            new AdmissionRequest("m", new Arrival(0, ++_arrivals, 0), Displaced: true, WaitingSince: null, Fingerprint: "", Excluded: [])
            {
                SuspectFrom = isSuspect ? TimeSpan.Zero : null, AskAgainAt = failed.ToFrozenDictionary(one => one.Replica, one => one.At),
            },
            CancellationToken.None).AsTask();

    private static void Pass(Gateway gateway, int milliseconds)
    {
        for (; milliseconds > 0; milliseconds -= 50)
            gateway.Time.Advance(TimeSpan.FromMilliseconds(50));
    }
}
