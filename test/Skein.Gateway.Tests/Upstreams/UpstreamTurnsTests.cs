using System.Net;
using Microsoft.Extensions.Time.Testing;
using Skein.Gateway.Group;
using Skein.Gateway.Upstreams;
using Skein.Membership;
using Skein.Membership.Tests.Support;
using Skein.Protocol;
using Skein.Protocol.V1;

namespace Skein.Gateway.Tests.Upstreams;

public sealed class UpstreamTurnsTests
{
    /// <summary>Gateways of the group did not learn of an upstream that was added at run time, and used its slots twice.</summary>
    [Fact]
    public async Task Follow_UpstreamIsAddedLater_IsPublishedBesideTheRestOfTheMetadata()
    {
        var time = new FakeTimeProvider();
        using var fleet = new UpstreamFleet(new GroupFleet(), time);
        using var tasks = new BackgroundTasks();
        var membership = new Published();
        new UpstreamTurns(fleet, tasks, time).Follow(membership);
        Assert.Empty(membership.All);

        fleet.Add("host:1", "upstream-1", [], new Uri("http://host:1"));
        time.Advance(TimeSpan.FromSeconds(1));

        var published = await membership.NextAsync();
        Assert.Equal(("1.2.3.4:80", UpstreamSharing.DigestsOf(new[] { new Uri("http://host:1") })), (published.Http, published.Upstreams));
        await tasks.StopAsync(TestContext.Current.CancellationToken);
    }

    private sealed class Published : StubMembership
    {
        private readonly TaskCompletionSource<MemberMetadata> _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public List<MemberMetadata> All { get; } = [];

        public override MembershipSnapshot Current { get; } = Snapshot();

        public Task<MemberMetadata> NextAsync() => _next.Task.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System);

        public override void UpdateMetadata(MemberMetadata metadata)
        {
            All.Add(metadata.Clone());
            _next.TrySetResult(metadata.Clone());
        }

        private static MembershipSnapshot Snapshot()
        {
            var self = new Member
            {
                Name = "g", State = MemberState.Alive, Generation = 1, Incarnation = 0, Gossip = new IPEndPoint(IPAddress.Loopback, 7946), IsSelf = true,
                Metadata = new MemberMetadata { Role = Roles.Gateway, Http = "1.2.3.4:80" },
            };
            return new MembershipSnapshot(1, self, [self], []);
        }
    }
}
