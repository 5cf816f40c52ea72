using System.Diagnostics;
using System.Net;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>Tests that use every core or measure time on real sockets. They do not run in parallel with others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class AloneOnTheMachine
{
    /// <summary>The name of the collection.</summary>
    public const string Name = "alone on the machine";
}

[Collection(AloneOnTheMachine.Name)]
public sealed class LargeGroupTests : IAsyncDisposable
{
    private const int Members = 128;
    private readonly List<IMembership> _members = [];
    private readonly DeathLog _deaths = new();
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(90), TimeProvider.System);

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_members.Select(static member => member.DisposeAsync().AsTask()));
        _deadline.Dispose();
    }

    [Fact]
    public async Task Group_StarvedOfProcessorTime_LosesNobodyAndThenFindsTheOneThatCrashed()
    {
        var start = TimeProvider.System.GetTimestamp();
        _members.Add(await StartAsync(0));
        _members.AddRange(await Task.WhenAll(Enumerable.Range(1, Members - 1).Select(StartAsync)));
        await WaitForAllAsync(static snapshot => snapshot.Members.Length == Members && snapshot.Members.All(static member => member.IsLive));
        Tell($"{Members} members know each other after", start);
        await RestAsync(TimeSpan.FromSeconds(3));

        // Longer than the window of a single accuser. A death that is refuted at once also counts.
        await ProcessorLoad.RunAsync(ProtocolOptions.Lan.SuspicionMin * ProtocolOptions.Lan.SuspicionMaxFactor + TimeSpan.FromSeconds(3), _deadline.Token);
        Assert.Empty(_deaths.All);

        var victim = _members[Members / 2];
        var name = victim.Current.Self.Name;
        _members.Remove(victim);
        start = TimeProvider.System.GetTimestamp();
        await victim.DisposeAsync();
        await WaitForAllAsync(snapshot => snapshot.Find(name)!.State == MemberState.Dead);
        Assert.All(_members, member => Assert.Equal(DeathCause.Refused, member.Current.Find(name)!.Death));
        Assert.All(_deaths.All, death => Assert.Contains($" {name},", death, StringComparison.Ordinal));
        Tell("the crashed one is dead everywhere after", start);
    }

    /// <summary>Waits for a fixed time, because the duration is the subject of the test.</summary>
    private async Task RestAsync(TimeSpan time)
    {
        var processor = Process.GetCurrentProcess().TotalProcessorTime;
        await Task.Delay(time, TimeProvider.System, _deadline.Token);
        var used = Process.GetCurrentProcess().TotalProcessorTime - processor;
        TestContext.Current.TestOutputHelper?.WriteLine($"processor time in {time}: {used.TotalMilliseconds / time.TotalSeconds / Members:f2} ms/s a member");
    }

    private static void Tell(string what, long since) => TestContext.Current.TestOutputHelper?.WriteLine(
        $"{what} {TimeProvider.System.GetElapsedTime(since).TotalMilliseconds:f0} ms");

    private async Task WaitForAllAsync(Func<MembershipSnapshot, bool> condition)
    {
        foreach (var viewer in _members)
        {
            var snapshot = viewer.Current;
            while (!condition(snapshot))
                snapshot = await viewer.WaitForChangeAsync(snapshot.Version, _deadline.Token);
        }
    }

    private Task<IMembership> StartAsync(int index)
    {
        var options = new MembershipOptions
        {
            Name = $"m-{index}",
            Bind = new IPEndPoint(IPAddress.Loopback, 0),
            Seeds = index == 0 ? [] : [_members[0].LocalEndPoint.ToString()],
        };
        return MembershipService.StartAsync(options, new MemberMetadata(), TimeProvider.System, _deaths, _deadline.Token);
    }
}
