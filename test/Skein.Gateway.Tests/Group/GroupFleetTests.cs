using System.Net;
using Skein.Gateway.Group;
using Skein.Membership;
using Skein.Protocol;
using Skein.Protocol.V1;
using Skein.Routing.Fleet;

namespace Skein.Gateway.Tests.Group;

public sealed class GroupFleetTests
{
    private readonly GroupFleet _fleet = new();

    [Fact]
    public void Learn_Fingerprints_AreThoseOfEachModel()
    {
        _fleet.Update(Group(Replica(digest: 1, "x", "y")));
        Assert.Equal("", Only.FingerprintOf("x"));

        _fleet.Learn(Only, Answer(("x", "fx"), ("y", "fy")));

        Assert.Equal(["x", "y"], Only.Models.Order(StringComparer.Ordinal));
        Assert.Equal(("fx", "fy", ""), (Only.FingerprintOf("x"), Only.FingerprintOf("y"), Only.FingerprintOf("z")));
    }

    [Fact]
    public void Learn_ModelsThatDoNotFitIntoGossip_AreServed_AndUntilThenNothingIsUnknown()
    {
        _fleet.Update(Group(Replica(digest: 1)));
        Assert.False(_fleet.Current.Complete);

        _fleet.Learn(Only, Answer(("long-name", "f")));

        Assert.Equal(["long-name"], Only.Models);
        Assert.Equal(["long-name"], _fleet.Current.KnownModels);
        Assert.True(_fleet.Current.Complete);
    }

    [Fact]
    public void Update_OtherDigestOrOtherLife_ForgetsWhatWasLearnt()
    {
        _fleet.Update(Group(Replica(digest: 1, "x")));
        var first = Only;
        _fleet.Learn(first, Answer(("x", "f1")));

        _fleet.Update(Group(Replica(digest: 2, "x")));
        Assert.Equal("", Only.FingerprintOf("x"));

        _fleet.Learn(first, Answer(("x", "f1"))); // an answer from before the change
        Assert.Equal("", Only.FingerprintOf("x"));

        _fleet.Learn(Only, Answer(("x", "f2")));
        Assert.Equal("f2", Only.FingerprintOf("x"));
        _fleet.Update(Group(Replica(digest: 2, "x") with { Generation = 8 }));
        Assert.Equal("", Only.FingerprintOf("x"));
    }

    [Fact]
    public void Learn_UnsoundAnswer_KeepsWhatIsSound()
    {
        _fleet.Update(Group(Replica(digest: 1, "x")));
        var answer = Answer(("x", "f"), ("", "f"), (new string('n', 257), "f"), ("x", "again"), ("z", new string('f', 257)));
        answer.Models.AddRange(Enumerable.Range(0, 5000).Select(i => new ModelDescription { Name = $"m{i}" }));

        _fleet.Learn(Only, answer);

        Assert.Equal(1024, Only.Models.Count);
        Assert.Equal("f", Only.FingerprintOf("x"));
        Assert.DoesNotContain("z", Only.Models);
    }

    /// <summary>Loads in gossip rebuilt the fleet, up to a hundred times a second.</summary>
    [Fact]
    public void Update_OnlyLoadsDiffer_RaisesNothingAndKeepsTheFleet()
    {
        var replica = Replica(digest: 1, "x");
        _fleet.Update(Group(replica));
        using var tracker = new FleetTracker(_fleet);
        int fleetChanges = 0, trackerChanges = 0;
        _fleet.Changed += () => fleetChanges++;
        tracker.Changed += () => trackerChanges++;
        (var view, var snapshot) = (_fleet.Current, tracker.Current);

        for (var i = 0; i < 100; i++)
            _fleet.Update(Group(replica with { InFlight = i, Queued = i, Incarnation = (uint)i }));

        Assert.Equal((0, 0), (fleetChanges, trackerChanges));
        Assert.Same(view, _fleet.Current);
        Assert.Same(snapshot, tracker.Current);

        _fleet.Update(Group(replica with { State = MemberState.Suspect }));
        Assert.Equal((1, 1), (fleetChanges, trackerChanges));
    }

    [Fact]
    public void Update_MetadataPublishedAgain_HasANewVersion()
    {
        var replica = Replica(digest: 1, "x");
        _fleet.Update(Group(replica));
        var first = Only.MetadataVersion;
        _fleet.Update(Group(replica with { State = MemberState.Suspect }));
        Assert.Equal(first, Only.MetadataVersion);

        _fleet.Update(Group(replica with { Metadata = replica.Metadata.Clone() }));

        Assert.NotEqual(first, Only.MetadataVersion);
    }

    [Fact]
    public void OfferedModels_PastTheBound_KeepsWhatIsOfferedNow()
    {
        var offered = new OfferedModels();
        for (var i = 0; i <= OfferedModels.MostNames; i++)
            offered.Add([$"m{i}", "always"]);

        Assert.InRange(offered.Names.Count, 2, OfferedModels.MostNames);
        Assert.Contains("always", offered.Names);
        Assert.Contains($"m{OfferedModels.MostNames}", offered.Names);

        offered.Add(Enumerable.Range(0, 2 * OfferedModels.MostNames).Select(i => $"n{i}"));
        Assert.Equal(OfferedModels.MostNames, offered.Names.Count);
    }

    private ReplicaDescription Only => Assert.Single(_fleet.Current.Replicas);

    private static DescribeResponse Answer(params (string Name, string Fingerprint)[] models) =>
        new() { Models = { models.Select(model => new ModelDescription { Name = model.Name, Fingerprint = model.Fingerprint }) } };

    private static Member Replica(ulong digest, params string[] models) => new()
    {
        Name = "replica-1",
        State = MemberState.Alive,
        Generation = 7,
        Incarnation = 0,
        Gossip = new IPEndPoint(IPAddress.Loopback, 7946),
        Metadata = new MemberMetadata { Role = Roles.Replica, Grpc = "127.0.0.1:8090", Models = { models }, ModelsDigest = digest, Slots = 4 },
    };

    private static MembershipSnapshot Group(Member replica) => new(1, replica, [replica], []);
}
