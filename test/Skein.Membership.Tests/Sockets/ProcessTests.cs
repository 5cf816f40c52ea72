using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>Real processes, real kills.</summary>
[Collection(AloneOnTheMachine.Name)]
public sealed class ProcessTests : IAsyncLifetime
{
    private readonly List<IMembership> _members = [];
    private readonly List<MemberProcess> _processes = [];
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60), TimeProvider.System);

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "signals are sent by their Linux numbers");
        for (int i = 0; i < 3; i++)
            _members.Add(await StartAsync($"here-{i}"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (MemberProcess process in _processes)
            process.Dispose();
        foreach (IMembership member in _members)
            await member.DisposeAsync();
        _deadline.Dispose();
    }

    [Fact]
    public async Task Kill9_IsDeadEverywhere_AndBackAtOnce()
    {
        MemberProcess process = await JoinAsync("there");
        ulong generation = _members[0].Current.Find("there")!.Generation;
        // The ring settles: connections are made to the new successors.
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, _deadline.Token);
        long start = TimeProvider.System.GetTimestamp();

        process.Kill();
        await WaitForAllAsync("there", member => member.State == MemberState.Dead);

        TimeSpan detected = TimeProvider.System.GetElapsedTime(start);
        TestContext.Current.TestOutputHelper?.WriteLine($"dead everywhere after {detected.TotalMilliseconds:f0} ms");
        await JoinAsync("there");
        await WaitForAllAsync("there", member => member.IsLive && member.Generation > generation);
        AssertOthersLive();
    }

    [Fact]
    public async Task Kill9_WatchersTurnToOthers_AndTheGroupGoesOn()
    {
        for (int round = 0; round < 3; round++)
        {
            MemberProcess process = await JoinAsync($"there-{round}");
            await Task.Delay(TimeSpan.FromMilliseconds(400), TimeProvider.System, _deadline.Token);
            process.Kill();
            await WaitForAllAsync($"there-{round}", member => member.State == MemberState.Dead);
        }
        // Past the moment at which broken connections are replaced.
        await Task.Delay(TimeSpan.FromSeconds(1.5), TimeProvider.System, _deadline.Token);

        for (int i = 0; i < _members.Count; i++)
            _members[i].UpdateLoad(inFlight: 100 + i, queued: 0);

        for (int i = 0; i < _members.Count; i++)
            await WaitForAllAsync($"here-{i}", member => member.InFlight == 100 + i && member.State == MemberState.Alive);
    }

    [Fact]
    public async Task Freeze_ForLessThanTheWindow_NobodyDies()
    {
        MemberProcess process = await JoinAsync("there");
        ulong generation = _members[0].Current.Find("there")!.Generation;

        process.Freeze();
        await Task.Delay(TimeSpan.FromSeconds(1.5), TimeProvider.System, _deadline.Token);
        process.Thaw();
        await Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System, _deadline.Token);

        await WaitForAllAsync("there", member => member.State == MemberState.Alive && member.Generation == generation);
        AssertOthersLive();
    }

    [Fact]
    public async Task Freeze_ForLong_IsDeadAfterTheWindowAndAliveAgainWhenItThaws()
    {
        MemberProcess process = await JoinAsync("there");
        Member before = _members[0].Current.Find("there")!;
        long start = TimeProvider.System.GetTimestamp();

        process.Freeze();
        await WaitForAllAsync("there", member => member.State == MemberState.Dead);
        Assert.True(TimeProvider.System.GetElapsedTime(start) > TimeSpan.FromSeconds(2), "dead before the suspicion window was over");
        process.Thaw();

        await WaitForAllAsync("there", member => member.State == MemberState.Alive && member.Incarnation > before.Incarnation);
        Assert.Equal(before.Generation, _members[0].Current.Find("there")!.Generation);
        AssertOthersLive();
    }

    private async Task<MemberProcess> JoinAsync(string name)
    {
        MemberProcess process = MemberProcess.Start(name, _members[0].LocalEndPoint);
        _processes.Add(process);
        await WaitForAllAsync(name, member => member.IsLive);
        return process;
    }

    private void AssertOthersLive()
    {
        foreach (IMembership viewer in _members)
            Assert.All(viewer.Current.Members, member => Assert.True(member.IsLive && member.Incarnation <= 8, $"{member}"));
    }

    private async Task WaitForAllAsync(string name, Func<Member, bool> condition)
    {
        foreach (IMembership viewer in _members)
        {
            MembershipSnapshot snapshot = viewer.Current;
            while (snapshot.Find(name) is not { } member || !condition(member))
                snapshot = await viewer.WaitForChangeAsync(snapshot.Version, _deadline.Token);
        }
    }

    private async Task<IMembership> StartAsync(string name)
    {
        var options = new MembershipOptions
        {
            Name = name,
            Bind = new IPEndPoint(IPAddress.Loopback, 0),
            Seeds = _members.Count == 0 ? [] : [_members[0].LocalEndPoint.ToString()],
        };
        return await MembershipService.StartAsync(options, new MemberMetadata(), TimeProvider.System, NullLoggerFactory.Instance, _deadline.Token);
    }
}
