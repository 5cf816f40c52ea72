using System.Collections.Concurrent;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>Real processes that are stopped (SIGSTOP) for 0.2 to 20 s, in parallel: most of this test is waiting.</summary>
public sealed class FreezeTests : IAsyncLifetime
{
    private static readonly TimeSpan[] Forgiven = [TimeSpan.FromSeconds(0.2), TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(1.5)];
    private static readonly TimeSpan[] NotForgiven = [TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(20)];
    private readonly List<IMembership> _members = [];
    private readonly ConcurrentBag<MemberProcess> _processes = [];
    private readonly ConcurrentQueue<string> _deaths = [];
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(120), TimeProvider.System);

    public async ValueTask InitializeAsync()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "signals are sent by their Linux numbers");
        for (var i = 0; i < 4; i++)
            _members.Add(await StartAsync($"here-{i}"));
        foreach (var viewer in _members)
            _ = FollowAsync(viewer);
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
    public async Task Freeze_ShortOnesStayAlive_LongOnesDieOfSilenceAndReturnInTheSameGeneration()
    {
        await Task.WhenAll([.. Forgiven.Select(StayAsync), .. NotForgiven.Select(ReturnAsync)]);

        // No other member was declared dead in any view.
        Assert.Equal([.. NotForgiven.Select(Name).Order(StringComparer.Ordinal)], _deaths.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    private async Task StayAsync(TimeSpan length)
    {
        var process = await JoinAsync(Name(length));
        var before = Seen(length);
        process.Freeze();
        await Task.Delay(length, TimeProvider.System, _deadline.Token);
        process.Thaw();

        // If it was suspected meanwhile, it refutes.
        await WaitForAllAsync(length, static member => member.State == MemberState.Alive);
        Assert.Equal(before.Generation, Seen(length).Generation);
    }

    private async Task ReturnAsync(TimeSpan length)
    {
        var process = await JoinAsync(Name(length));
        var before = Seen(length);
        process.Freeze();
        var over = Task.Delay(length, TimeProvider.System, _deadline.Token);
        await WaitForAllAsync(length, static member => member.State == MemberState.Dead);
        // Its kernel still accepts connections, so only silence can be the evidence.
        Assert.All(_members, viewer => Assert.Equal(DeathCause.Silent, viewer.Current.Find(Name(length))!.Death));
        await over;
        process.Thaw();

        await WaitForAllAsync(length, member => member.State == MemberState.Alive && member.Incarnation > before.Incarnation);
        Assert.Equal(before.Generation, Seen(length).Generation);
    }

    private static string Name(TimeSpan length) => $"frozen-{length.TotalMilliseconds}";

    private Member Seen(TimeSpan length) => _members[0].Current.Find(Name(length))!;

    private async Task WaitForAllAsync(TimeSpan length, Func<Member, bool> condition)
    {
        foreach (var viewer in _members)
            await Group.WaitAsync(viewer, Name(length), condition, _deadline.Token);
    }

    private async Task FollowAsync(IMembership viewer)
    {
        var snapshot = viewer.Current;
        while (!_deadline.IsCancellationRequested)
        {
            foreach (var member in snapshot.Members.Where(static member => member.State == MemberState.Dead))
                _deaths.Enqueue(member.Name);
            try
            {
                snapshot = await viewer.WaitForChangeAsync(snapshot.Version, _deadline.Token);
            }
            catch (OperationCanceledException)
            {
                // The test has ended.
                return;
            }
        }
    }

    private async Task<MemberProcess> JoinAsync(string name)
    {
        var process = MemberProcess.Start(name, _members[0].LocalEndPoint);
        _processes.Add(process);
        foreach (var viewer in _members)
            await Group.WaitAsync(viewer, name, static member => member.IsLive, _deadline.Token);
        return process;
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
