using System.Globalization;

namespace Skein.Membership.Tests.Network;

/// <summary>Real processes with keys, each in its own network namespace, on a lossy link.</summary>
public sealed class LossTests
{
    /// <summary>Duration of the faults; SKEIN_NETWORK_SECONDS overrides it.</summary>
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(
        double.Parse(Environment.GetEnvironmentVariable("SKEIN_NETWORK_SECONDS") ?? "20", CultureInfo.InvariantCulture));

    [Fact]
    public async Task LossAndJitter_NobodyIsEverDeclaredDead()
    {
        // In parallel: nearly all of the time is waiting.
        await Task.WhenAll(SurviveAsync(0.05, TimeSpan.Zero), SurviveAsync(0.2, TimeSpan.Zero), SurviveAsync(0.05, TimeSpan.FromMilliseconds(50)));
    }

    private static async Task SurviveAsync(double loss, TimeSpan jitter)
    {
        using var group = await NetworkGroup.JoinAsync(hosts: 4, seed: 1);
        (group.Cable.Loss, group.Cable.Jitter) = (loss, jitter);

        await Task.Delay(Length, TimeProvider.System, TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper?.WriteLine($"loss {loss:p0}, jitter {jitter.TotalMilliseconds} ms: {group.Cable.Lost} packets lost, {group.Suspicions} suspicions seen");
        Assert.Empty(group.Deaths);
        Assert.True(loss == 0 || group.Cable.Lost > 0, "the cable lost nothing");
        await group.AllSeeAsync(group.All, MemberState.Alive, group.All);
    }
}

/// <summary>The network splits in two halves and heals.</summary>
public sealed class PartitionTests
{
    [Fact]
    public async Task Partition_BothHalvesBuryEachOther_AndHeal()
    {
        // When most of a group is silent at once, the default windows last a minute, which is too long for every run.
        using var group = await NetworkGroup.JoinAsync(hosts: 5, seed: 2, window: TimeSpan.FromSeconds(0.5));
        int[] left = [0, 1];
        int[] right = [2, 3, 4];

        group.Cable.Passes = (from, to) => left.Contains(from) == left.Contains(to);
        await group.AllSeeAsync(left, MemberState.Dead, right);
        await group.AllSeeAsync(right, MemberState.Dead, left);
        await group.AllSeeAsync(left, MemberState.Alive, left);
        await group.AllSeeAsync(right, MemberState.Alive, right);
        var healed = TimeProvider.System.GetTimestamp();
        group.Cable.Passes = static (_, _) => true;
        await group.AllSeeAsync(group.All, MemberState.Alive, group.All);

        TestContext.Current.TestOutputHelper?.WriteLine($"healed after {TimeProvider.System.GetElapsedTime(healed).TotalSeconds:f1} s");
        // The generations are unchanged: no member restarted.
        Assert.All(group.All, host => Assert.Single(group.GenerationsOf(host)));
    }
}

/// <summary>One direction of one link fails: the others still reach both members, so both stay alive.</summary>
public sealed class OneWayTests
{
    [Fact]
    public async Task OneWayBlock_BetweenTwo_NobodyDies()
    {
        using var group = await NetworkGroup.JoinAsync(hosts: 4, seed: 3);

        group.Cable.Passes = static (from, to) => (from, to) != (1, 2);
        await Task.Delay(TimeSpan.FromSeconds(10), TimeProvider.System, TestContext.Current.CancellationToken);

        Assert.Empty(group.Deaths);
        Assert.True(group.Cable.Lost > 0, "nothing was blocked");
    }
}
