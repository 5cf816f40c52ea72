using Microsoft.Extensions.Logging.Abstractions;
using Skein.Routing.Fleet;
using Skein.Routing.Streaming;
using Skein.Routing.Tests.Support;
using static Skein.Routing.Tests.Support.StaticFleet;

namespace Skein.Routing.Tests.Fleet;

public sealed class ReachabilityTests
{
    [Fact]
    public async Task BrokenReplica_IsOutUntilItAnswersAgain()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        using var monitor = new ReachabilityMonitor(gateway.Fleet, gateway.Link, gateway.Time, NullLogger<ReachabilityMonitor>.Instance);
        var replica = gateway.Fleet.Current.Replicas[0];
        var answers = false;
        gateway.Link.Answers = _ => answers;
        var back = new TaskCompletionSource();
        gateway.Fleet.Changed += () =>
        {
            if (replica.Reachable)
                back.TrySetResult();
        };

        gateway.Fleet.MarkUnreachable(replica);
        gateway.Time.Advance(TimeSpan.FromSeconds(10));
        Assert.False(replica.Reachable);

        answers = true;
        while (!back.Task.IsCompleted)
        {
            gateway.Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        Assert.True(replica.Reachable);
    }

    /// <summary>A probe loop that threw died silently, and its replica stayed out.</summary>
    [Fact]
    public async Task RunAsync_ProbeThrows_ThrowsThat()
    {
        using var gateway = new Gateway(new StaticFleet(Replica("a")));
        using var monitor = new ReachabilityMonitor(gateway.Fleet, gateway.Link, gateway.Time, NullLogger<ReachabilityMonitor>.Instance);
        var running = monitor.RunAsync(TestContext.Current.CancellationToken);
        gateway.Link.Answers = _ => throw new InvalidOperationException("a bug");

        gateway.Fleet.MarkUnreachable(gateway.Fleet.Current.Replicas[0]);
        gateway.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("a bug", (await Assert.ThrowsAsync<InvalidOperationException>(() => running)).Message);
    }

    [Fact]
    public void Refresh_SameGenerationWithNewDescription_KeepsItsCounters()
    {
        var source = new StaticFleet(Replica("a", slots: 4));
        using var gateway = new Gateway(source);
        var before = gateway.Fleet.Current.Replicas[0];

        source.Set(Replica("a", slots: 8));
        Assert.Same(before, gateway.Fleet.Current.Replicas[0]);
        Assert.Equal(8, before.Description.Slots);

        source.Set(Replica("a", slots: 8, generation: 2));
        Assert.NotSame(before, gateway.Fleet.Current.Replicas[0]);
    }
}
