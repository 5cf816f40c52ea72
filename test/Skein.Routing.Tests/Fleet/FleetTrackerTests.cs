using Skein.Protocol.V1;
using Skein.Routing.Fleet;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Fleet;

public sealed class FleetTrackerTests
{
    /// <summary>The fleet was rebuilt by every view of its source, up to a hundred times a second, because loads changed.</summary>
    [Fact]
    public void Refresh_ViewThatSaysTheSame_RaisesNothingAndKeepsTheSnapshot()
    {
        var source = new StaticFleet();
        source.Set([Described()], complete: true, "m", "old");
        using var fleet = new FleetTracker(source);
        var snapshot = fleet.Current;
        var raised = 0;
        fleet.Changed += () => raised++;

        for (var i = 0; i < 100; i++)
            source.Set([Described()], complete: true, "m", "old");

        Assert.Equal(0, raised);
        Assert.Same(snapshot, fleet.Current);
    }

    [Fact]
    public void Refresh_AnyDifference_IsRaisedOnce()
    {
        ReplicaDescription[] others =
        [
            Described() with { Address = "other" }, Described() with { Models = ["m", "n"] }, Described() with { Slots = 5 }, Described() with { Weight = 2 },
            Described() with { Fingerprints = new Dictionary<string, string> { ["m"] = "g" } },
            Described() with { ModelsDigest = 2 }, Described() with { MetadataVersion = 2 }, Described() with { Draining = true },
            Described() with { HandOver = true }, Described() with { Suspect = true },
            Described() with { Id = new ReplicaId("a", 2) },
        ];
        var source = new StaticFleet(Described());
        using var fleet = new FleetTracker(source);
        var raised = 0;
        fleet.Changed += () => raised++;
        foreach (var other in others)
        {
            source.Set(other);
            source.Set(Described());
        }
        source.Set([Described()], complete: false);
        source.Set([Described()], complete: false, "n");
        source.Set();

        Assert.Equal((2 * others.Length) + 3, raised);
    }

    /// <summary>Requests went back to a draining replica until gossip arrived, because any refresh of its description cleared its own report.</summary>
    [Fact]
    public void Draining_ReportedByTheReplica_StaysUntilItsMetadataSayOtherwise()
    {
        var source = new StaticFleet(Described());
        using var gateway = new Gateway(source);
        var replica = gateway.Fleet.Current.Replicas[0];
        gateway.Admission.Report(replica, new LoadReport { Generation = 1, Sequence = 1, Slots = 4, Draining = true });

        source.Set(Described() with { Suspect = true });
        source.Set(Described() with { Fingerprints = new Dictionary<string, string> { ["m"] = "g" } });
        Assert.True(replica.Draining);

        source.Set(Described() with { MetadataVersion = 2 }); // undrained before gossip reported the drain
        Assert.False(replica.Draining);
    }

    [Fact]
    public void Draining_OverInTheDescription_EndsTheReportToo()
    {
        var source = new StaticFleet(Described());
        using var gateway = new Gateway(source);
        var replica = gateway.Fleet.Current.Replicas[0];
        gateway.Admission.Report(replica, new LoadReport { Generation = 1, Sequence = 1, Slots = 4, Draining = true });

        source.Set(Described() with { Draining = true });
        Assert.True(replica.Draining);
        source.Set(Described());

        Assert.False(replica.Draining);
    }

    private static ReplicaDescription Described() =>
        Replica("a") with { MetadataVersion = 1, ModelsDigest = 1, Fingerprints = new Dictionary<string, string> { ["m"] = "f" } };
}
