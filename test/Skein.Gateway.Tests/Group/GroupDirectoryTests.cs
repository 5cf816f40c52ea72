using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Group;
using Skein.Gateway.Telemetry;
using Skein.Membership;
using Skein.Membership.Tests.Support;
using Skein.Protocol.V1;
using Skein.Routing;
using Skein.Routing.Admission;
using Skein.Routing.Balancing;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Tests.Group;

public sealed class GroupDirectoryTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly ScriptedFleet _source = new();
    private readonly FleetTracker _fleet;
    private readonly AdmissionQueue _admission;
    private readonly GroupDirectory _directory;

    public GroupDirectoryTests()
    {
        _fleet = new FleetTracker(_source);
        _admission = new AdmissionQueue(new AdmissionOptions(), new BalancingPolicies(BalancingPolicies.BuiltIn), _fleet, _time, new SeededRandomSource(1));
        _directory = new GroupDirectory(_fleet, _admission, new RoutingStatistics(), _time);
    }

    public void Dispose()
    {
        _admission.Dispose();
        _fleet.Dispose();
    }

    [Fact]
    public void Dropped_BeforeAndAfterJoining_HasEveryCauseWithItsCount()
    {
        string[] causes = ["malformed", "oversized", "version", "cluster", "seal_missing", "unknown_key", "bad_tag", "replayed"];
        Assert.Equal(causes.Select(static cause => (cause, 0L)), _directory.Dropped());

        _directory.Follow(new Counts());

        Assert.Equal(causes.Select(static (cause, i) => (cause, 10L + i + 1)), _directory.Dropped());
    }

    [Fact]
    public void List_ManyModelsCameAndWent_ForgetsFirstTimesOfThoseThatAreGone()
    {
        var first = _time.GetUtcNow();
        Serve("kept", "gone");
        Assert.All(_directory.List(), model => Assert.Equal(first, model.FirstSeen));
        _time.Advance(TimeSpan.FromHours(1));

        Serve(["kept", .. Enumerable.Range(0, OfferedModels.MostNames).Select(i => $"m{i}")]);
        Assert.Equal(first, _directory.List().Single(model => model.Description.Name == "kept").FirstSeen);

        Serve("kept", "gone");
        Assert.Equal([_time.GetUtcNow(), first], _directory.List().Select(model => model.FirstSeen));
    }

    /// <summary>A client plans with what every replica of a model can do.</summary>
    [Fact]
    public void List_ReplicasThatDiffer_TellsTheShortestContextAndTheBestTier()
    {
        _source.Set(
            Replica("a", new ModelDescription { Name = "m", ContextTokens = 4096, ResumeTier = ResumeTier.Text, Chat = true }),
            Replica("b", new ModelDescription { Name = "m", ContextTokens = 512, ResumeTier = ResumeTier.Exact, Unit = TokenUnit.Token }));

        var model = Assert.Single(_directory.List()).Description;

        Assert.Equal((512u, ResumeTier.Exact, TokenUnit.Token, true), (model.ContextTokens, model.ResumeTier, model.Unit, model.Chat));
        Assert.Equal(8u, _directory.Load().Slots);

        static ReplicaDescription Replica(string name, ModelDescription model) => new()
        {
            Id = new ReplicaId(name, 7), Address = name, Models = ["m"], Slots = 4,
            ModelDescriptions = new Dictionary<string, ModelDescription> { ["m"] = model },
        };
    }

    private void Serve(params string[] models) =>
        _source.Set(new ReplicaDescription { Id = new ReplicaId("replica-1", 7), Address = "replica-1", Models = models, Slots = 4 });

    private sealed class ScriptedFleet : IFleetSource
    {
        public event Action? Changed;

        public FleetView Current { get; private set; } = new([], [], Complete: true);

        public void Set(params ReplicaDescription[] replicas)
        {
            Current = new FleetView(replicas, [], Complete: true);
            Changed?.Invoke();
        }
    }

    /// <summary>Dropped ten packets of each cause, and as many more as the cause's number.</summary>
    private sealed class Counts : StubMembership
    {
        public override long CountDropped(DropCause cause) => 10 + (int)cause;
    }
}
