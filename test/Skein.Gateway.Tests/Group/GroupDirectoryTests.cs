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
    private readonly FleetTracker _fleet = new(new NoFleet());
    private readonly AdmissionQueue _admission;
    private readonly GroupDirectory _directory;

    public GroupDirectoryTests()
    {
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
        Assert.Equal(causes.Select(static cause => new DroppedPackets(cause, 0)), _directory.Dropped());

        _directory.Follow(new Counts());

        Assert.Equal(causes.Select(static (cause, i) => new DroppedPackets(cause, 10 + i + 1)), _directory.Dropped());
    }

    private sealed class NoFleet : IFleetSource
    {
        public event Action? Changed
        {
            add { }
            remove { }
        }

        public FleetView Current { get; } = new([], [], Complete: true);
    }

    /// <summary>Dropped ten packets of each cause, and as many more as the cause's number.</summary>
    private sealed class Counts : StubMembership
    {
        public override long CountDropped(DropCause cause) => 10 + (int)cause;
    }
}
