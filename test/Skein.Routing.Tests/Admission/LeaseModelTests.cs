using CsCheck;
using Skein.Protocol;
using Skein.Routing.Admission;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Admission;

public sealed class LeaseModelTests
{
    /// <summary>All but a refusal, after which a replica is left alone for a moment.</summary>
    private static readonly Fault?[] Ends = [null, Fault.ConnectionLost, Fault.Cancelled];

    /// <summary>Random arrivals, releases, cancels, deaths and returns, as many as fit into 3 s; what must hold is looked at after each.</summary>
    [Fact]
    public Task AnySequenceOfEvents_KeepsLeasesAndOrder() => CheckAsync(seconds: 3);

    /// <summary>About a million events; run by hand, with <c>--explicit only</c>.</summary>
    [Fact(Explicit = true)]
    public Task AMillionEvents_KeepLeasesAndOrder() => CheckAsync(iterations: 17_000);

    private static Task CheckAsync(int iterations = -1, int seconds = -1) =>
        Gen.Select(Gen.Int[0, 9], Gen.Int[0, 1_000_000]).List[1, 120].SampleAsync(async steps =>
        {
            ReplicaDescription[] all = [Replica("a", 2), Replica("b", 3), Replica("c", 1, weight: 2)];
            using var gateway = new Gateway(new StaticFleet(all));
            var leases = new List<ReplicaLease>();
            var waiting = new List<(Task<ReplicaLease> Task, CancellationTokenSource Cancel)>();
            var seen = new HashSet<Replica>();
            var arrivals = 0;
            foreach ((var kind, var pick) in steps)
            {
                switch (kind)
                {
                    case <= 3:
                        var cancel = new CancellationTokenSource();
                        waiting.Add((gateway.Admission.AcquireAsync(new AdmissionRequest("m", new Arrival(0, ++arrivals, 0), false, null, "", []), cancel.Token).AsTask(), cancel));
                        break;
                    case <= 6 when leases.Count > 0:
                        leases[pick % leases.Count].Release(Ends[pick % Ends.Length]);
                        leases.RemoveAt(pick % leases.Count);
                        break;
                    case 7 when waiting.Count > 0:
                        waiting[pick % waiting.Count].Cancel.Cancel();
                        waiting.RemoveAt(pick % waiting.Count);
                        break;
                    case 8:
                        gateway.Source.Set([.. all.Where((_, index) => (pick >> index & 1) == 1)], complete: true, "m");
                        break;
                    case 9 when gateway.Fleet.Current.Replicas is { Count: > 0 } live:
                        if (pick % 2 == 0)
                            gateway.Fleet.MarkUnreachable(live[pick % live.Count]);
                        else
                            gateway.Fleet.MarkReachable(live[pick % live.Count]);
                        break;
                }
                // The served complete from the front, without a hole: nobody overtook.
                var served = waiting.Count - gateway.Admission.Waiting;
                Assert.InRange(served, 0, waiting.Count);
                foreach ((var task, _) in waiting.Take(served))
                    leases.Add(await task);
                waiting.RemoveRange(0, served);

                seen.UnionWith(gateway.Fleet.Current.Replicas);
                Assert.Equal(leases.Count, gateway.Admission.Leased);
                Assert.Equal(leases.Count, seen.Sum(replica => replica.Leased));
                Assert.All(seen, replica => Assert.InRange(replica.Leased, 0, replica.Description.Slots));
                // Many broken connections in a row eject a replica, and new requests do not get its free slots.
                var serving = gateway.Fleet.Current.Replicas.Where(replica => replica.Reachable && !replica.Breaker.IsEjected);
                if (waiting.Count > 0)
                    Assert.All(serving, replica => Assert.Equal(replica.Description.Slots, replica.Leased));
            }
        }, iter: iterations, time: seconds, threads: 1);
}
