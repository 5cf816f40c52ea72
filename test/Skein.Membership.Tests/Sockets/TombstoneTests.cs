using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Sockets;

/// <summary>A real process that continues after all members have purged its tombstone.</summary>
[Collection(AloneOnTheMachine.Name)]
public sealed class TombstoneTests : IAsyncLifetime
{
    private static readonly ProtocolOptions ShortMemory = ProtocolOptions.Lan with
    {
        SuspicionMin = TimeSpan.FromMilliseconds(300),
        TombstoneLifetime = TimeSpan.FromSeconds(2),
    };

    private readonly List<IMembership> _members = [];
    private readonly List<MemberProcess> _processes = [];
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(60), TimeProvider.System);

    public async ValueTask InitializeAsync()
    {
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
    public async Task Kill9_BackAfterItsTombstoneIsForgotten_IsAMemberAgain()
    {
        var process = await JoinAsync();
        var generation = _members[0].Current.Find("there")!.Generation;
        process.Kill();
        await WaitForAllAsync(static member => member.State == MemberState.Dead);
        await Group.TrueAsync(
            () => _members.TrueForAll(static viewer => viewer.Current.Find("there") is null), "somebody still remembers it", _deadline.Token);

        await JoinAsync();

        await WaitForAllAsync(member => member.State == MemberState.Alive && member.Generation > generation);
    }

    private async Task<MemberProcess> JoinAsync()
    {
        var process = MemberProcess.Start("there", _members[0].LocalEndPoint, window: ShortMemory.SuspicionMin);
        _processes.Add(process);
        await WaitForAllAsync(static member => member.IsLive);
        return process;
    }

    private async Task WaitForAllAsync(Func<Member, bool> condition)
    {
        foreach (var viewer in _members)
            await Group.WaitAsync(viewer, "there", condition, _deadline.Token);
    }

    private async Task<IMembership> StartAsync(string name)
    {
        var options = new MembershipOptions
        {
            Name = name,
            Bind = new IPEndPoint(IPAddress.Loopback, 0),
            Seeds = _members.Count == 0 ? [] : [_members[0].LocalEndPoint.ToString()],
            Protocol = ShortMemory,
        };
        return await MembershipService.StartAsync(options, new MemberMetadata(), TimeProvider.System, NullLoggerFactory.Instance, _deadline.Token);
    }
}
