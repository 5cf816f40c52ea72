using Skein.Cli.Members;
using Skein.Membership;
using Skein.Membership.Tests.Support;
using Skein.Protocol.V1;
using Skein.Serving;

namespace Skein.Cli.Tests;

public class DrainPublisherTests
{
    [Fact]
    public void DrainChanged_PublishesTheDrainAndTheEndOfItsGrace()
    {
        var group = new Group();
        var replica = new Drainable();
        var publisher = new DrainPublisher(group, new MemberMetadata { Role = "replica", Revision = "r1" }, replica);

        replica.Set(TimeSpan.FromSeconds(30));
        replica.Set(TimeSpan.Zero);
        replica.Set(null);
        publisher.Dispose();
        replica.Set(TimeSpan.Zero);

        Assert.Equal([(true, false), (true, true), (false, false)], group.Published.Select(published => (published.Draining, published.HandOver)));
        Assert.All(group.Published, published => Assert.Equal("r1", published.Revision));
    }

    [Fact]
    public void SlotsChanged_GroupIsTold()
    {
        var group = new Group();
        var replica = new Drainable();
        using var publisher = new DrainPublisher(group, new MemberMetadata { Role = "replica", Slots = 1 }, replica);

        replica.SetSlots(1024);
        publisher.Update(metadata => metadata.Models.Add("m"));

        Assert.Equal([1024u, 1024u], group.Published.Select(told => told.Slots));
        Assert.Equal(["m"], group.Published[^1].Models);
    }

    /// <summary>A use that wavers around a step is published once.</summary>
    [Fact]
    public void KvCacheFills_GroupIsToldInStepsAtMostOnceASecond()
    {
        var group = new Group();
        var replica = new Drainable();
        var time = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        using var publisher = new DrainPublisher(group, new MemberMetadata { Role = "replica" }, replica);
        using var pressure = new KvPressurePublisher(publisher, replica, time);

        foreach (var permille in new uint[] { 0, 100, 124, 126, 120, 126, 70, 60, 880, 999, 1000, 990, 930 })
        {
            replica.KvUsedPermille = permille;
            time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal([1u, 0u, 7u, 8u, 7u], group.Published.Select(told => told.KvEighths));
    }

    /// <summary>Both flags take 4 bytes, the slots up to 3 and the KV cache 3: metadata of 503 bytes has no room for all of them.</summary>
    [Theory]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(505)]
    [InlineData(506)]
    [InlineData(508)]
    [InlineData(509)]
    [InlineData(510)]
    [InlineData(512)]
    public void DrainChanged_MetadataNearlyFull_StillFits(int size)
    {
        var metadata = new MemberMetadata { Role = "replica", Models = { "model" } };
        metadata.Models[0] = new string('m', 5 + size - metadata.CalculateSize() - 1);
        Assert.Equal(size, metadata.CalculateSize());
        MemberRun.ReserveSpaceForDrain(metadata);
        var group = new Group();
        var replica = new Drainable();
        using var publisher = new DrainPublisher(group, metadata, replica);

        replica.Set(TimeSpan.FromSeconds(30));
        replica.Set(TimeSpan.Zero);

        Assert.Equal([(true, false), (true, true)], group.Published.Select(published => (published.Draining, published.HandOver)));
        Assert.All(group.Published, published => Assert.InRange(published.CalculateSize(), 1, MembershipOptions.MaxMetadataBytes));
        Assert.Equal(size <= 502 ? 1 : 0, metadata.Models.Count);
    }

    private sealed class Drainable : IReplicaControl
    {
        public event Action? DrainChanged;

        public event Action? SlotsChanged;

        public int Slots { get; private set; } = 1;

        public bool IsDraining => GraceLeft is not null;

        public TimeSpan? GraceLeft { get; private set; }

        public void Set(TimeSpan? graceLeft)
        {
            GraceLeft = graceLeft;
            DrainChanged?.Invoke();
        }

        public void SetSlots(int slots)
        {
            Slots = slots;
            SlotsChanged?.Invoke();
        }

        public bool Drain(TimeSpan grace = default) => throw new NotSupportedException();

        public bool Undrain() => throw new NotSupportedException();

        public Task WhenIdleAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

        public void SetGeneration(ulong generation) => throw new NotSupportedException();

        public uint KvUsedPermille { get; set; }

        public LoadReport Report() => new() { KvUsedPermille = KvUsedPermille };
    }

    private sealed class Group : StubMembership
    {
        public List<MemberMetadata> Published { get; } = [];

        public override void UpdateMetadata(MemberMetadata metadata) => Published.Add(metadata.Clone());
    }
}
