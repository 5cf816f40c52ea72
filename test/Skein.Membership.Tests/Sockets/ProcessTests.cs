using System.Net;
using System.Net.NetworkInformation;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>Real processes and real kills.</summary>
[Collection(AloneOnTheMachine.Name)]
public sealed class ProcessTests : IAsyncLifetime
{
    private readonly List<IMembership> _members = [];
    private readonly List<MemberProcess> _processes = [];
    private readonly DeathLog _deaths = new();
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60), TimeProvider.System);

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "signals are sent by their Linux numbers");
        for (var i = 0; i < 3; i++)
            _members.Add(await StartAsync($"here-{i}"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
            process.Dispose();
        foreach (var member in _members)
            await member.DisposeAsync();
        _deadline.Dispose();
    }

    [Fact]
    public async Task Kill9_IsDeadEverywhere_AndBackAtOnce()
    {
        var process = await JoinAsync("there");
        var generation = _members[0].Current.Find("there")!.Generation;
        await WaitUntilWatchedAsync("there");
        var start = TimeProvider.System.GetTimestamp();

        process.Kill();
        await WaitForAllAsync("there", member => member.State == MemberState.Dead);
        Assert.All(_members, static viewer => Assert.Equal(DeathCause.Refused, viewer.Current.Find("there")!.Death));

        var detected = TimeProvider.System.GetElapsedTime(start);
        TestContext.Current.TestOutputHelper?.WriteLine($"dead everywhere after {detected.TotalMilliseconds:f0} ms");
        await JoinAsync("there");
        await WaitForAllAsync("there", member => member.IsLive && member.Generation > generation);
        AssertOthersLive();
    }

    [Fact]
    public async Task Kill9_WatchersTurnToOthers_AndTheGroupGoesOn()
    {
        for (var round = 0; round < 3; round++)
        {
            var process = await JoinAsync($"there-{round}");
            await WaitUntilWatchedAsync($"there-{round}");
            process.Kill();
            await WaitForAllAsync($"there-{round}", member => member.State == MemberState.Dead);
        }
        // Each broken connection is replaced by one to the next live member.
        foreach (var member in _members)
            await WaitUntilWatchedAsync(member.Current.Self.Name);

        for (var i = 0; i < _members.Count; i++)
            _members[i].UpdateLoad(inFlight: 100 + i, queued: 0);

        for (var i = 0; i < _members.Count; i++)
            await WaitForAllAsync($"here-{i}", member => member.InFlight == 100 + i && member.State == MemberState.Alive);
    }

    /// <summary>Each member is starved in a different way: it must neither die nor declare others dead.</summary>
    [Fact]
    public async Task ProcessesStarvedOfProcessorTime_NobodyEverSeesADeath()
    {
        for (var i = 0; i < 5; i++)
            await JoinAsync($"there-{i}");

        await ProcessorLoad.RunAsync(ProtocolOptions.Lan.SuspicionMin * ProtocolOptions.Lan.SuspicionMaxFactor + TimeSpan.FromSeconds(3), _deadline.Token);

        Assert.Empty(_deaths.All);
        Assert.All(_processes, static process => Assert.DoesNotContain(process.History, static seen => seen.State == MemberState.Dead));
        // They were running all the time and refuted.
        Assert.All(_processes, static process => Assert.Equal(8, process.View.Count));
    }

    private async Task<MemberProcess> JoinAsync(string name)
    {
        var process = MemberProcess.Start(name, _members[0].LocalEndPoint);
        _processes.Add(process);
        await WaitForAllAsync(name, member => member.IsLive);
        return process;
    }

    private void AssertOthersLive()
    {
        foreach (var viewer in _members)
            Assert.All(viewer.Current.Members, member => Assert.True(member.IsLive && member.Incarnation <= 8, $"{member}"));
    }

    /// <summary>Waits until two members monitor it, so that a crash is detected at once.</summary>
    private Task WaitUntilWatchedAsync(string name)
    {
        var port = _members[0].Current.Find(name)!.Gossip.Port;
        return Group.TrueAsync(
            () => IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections().Count(connection =>
                connection.RemoteEndPoint.Port == port && connection.State == TcpState.Established) >= 2,
            $"nobody watches {name}",
            _deadline.Token);
    }

    private async Task WaitForAllAsync(string name, Func<Member, bool> condition)
    {
        foreach (var viewer in _members)
            await Group.WaitAsync(viewer, name, condition, _deadline.Token);
    }

    private async Task<IMembership> StartAsync(string name)
    {
        var options = new MembershipOptions
        {
            Name = name,
            Bind = new IPEndPoint(IPAddress.Loopback, 0),
            Seeds = _members.Count == 0 ? [] : [_members[0].LocalEndPoint.ToString()],
        };
        return await MembershipService.StartAsync(options, new MemberMetadata(), TimeProvider.System, _deaths, _deadline.Token);
    }
}
