using Microsoft.Extensions.Time.Testing;
using Skein.Membership.Core;
using Skein.Membership.Transport;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Core;

public sealed class LoadBeaconStoreTests
{
    private static readonly TimeSpan Lifetime = ProtocolOptions.Lan.BeaconLifetime;
    private readonly FakeTimeProvider _time = new();
    private readonly MemberRecord _replica = new(new MemberFacts("replica-1", 7, default)) { State = MemberState.Alive };

    [Fact]
    public void TryGet_WithinItsLifetime_ReturnsItWithGenerationAndAge()
    {
        var board = new LoadBeaconStore(_time, Lifetime);
        var received = _time.GetTimestamp();
        board.Put(_replica, new LoadUpdate { Id = _replica.Id, Sequence = 3, InFlight = 5, Queued = 1 });

        _time.Advance(Lifetime);

        Assert.True(board.TryGet("replica-1", out var beacon));
        Assert.Equal(new LoadBeacon(7, InFlight: 5, Queued: 1, Sequence: 3, received), beacon);
    }

    [Fact]
    public void TryGet_OlderThanItsLifetimeOrOfARemovedMember_ReturnsNothing()
    {
        var board = new LoadBeaconStore(_time, Lifetime);
        board.Put(_replica, new LoadUpdate { Id = _replica.Id, Sequence = 3 });
        _time.Advance(Lifetime + TimeSpan.FromMilliseconds(1));
        Assert.False(board.TryGet("replica-1", out _));

        board.Put(_replica, new LoadUpdate { Id = _replica.Id, Sequence = 4 });
        Assert.True(board.TryGet("replica-1", out _));
        board.Remove("replica-1");
        Assert.False(board.TryGet("replica-1", out _));
    }
}
