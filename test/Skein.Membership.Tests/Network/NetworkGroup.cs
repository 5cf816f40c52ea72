using System.Net;
using Skein.Load.Chaos.Network;
using Skein.Membership.Tests.Sockets;

namespace Skein.Membership.Tests.Network;

/// <summary>A group of real processes with keys, each in its own network namespace on one bridge. The first is the seed of the others.</summary>
internal sealed class NetworkGroup : IDisposable
{
    private readonly List<MemberProcess> _processes = [];
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromMinutes(2), TimeProvider.System);

    private NetworkGroup(Cable cable) => Cable = cable;

    public Cable Cable { get; }

    public int[] All => [.. Enumerable.Range(0, Cable.Hosts.Count)];

    /// <summary>Every death that any member saw.</summary>
    public IEnumerable<string> Deaths => Seen(MemberState.Dead);

    public int Suspicions => Seen(MemberState.Suspect).Count();

    /// <summary>Starts the members and waits until all see all; skips the test if namespaces are not available.</summary>
    public static async Task<NetworkGroup> JoinAsync(int hosts, int seed, TimeSpan? window = null)
    {
        var group = new NetworkGroup(await CableOrSkip.CreateAsync(hosts, seed));
        try
        {
            var key = GossipKeys.NewKey();
            var first = new IPEndPoint(group.Cable.Hosts[0].Address, MembershipOptions.DefaultPort);
            for (var i = 0; i < hosts; i++)
            {
                var bind = new IPEndPoint(group.Cable.Hosts[i].Address, first.Port);
                var name = NameOf(i);
                group._processes.Add(await group.Cable.Hosts[i].RunAsync(() => MemberProcess.Start(name, first, bind, key, window)));
            }
            await group.AllSeeAsync(group.All, MemberState.Alive, group.All);
            return group;
        }
        catch
        {
            group.Dispose();
            throw;
        }
    }

    public async Task AllSeeAsync(int[] viewers, MemberState state, int[] members)
    {
        foreach (var viewer in viewers)
            foreach (var member in members)
                await Group.TrueAsync(
                    () => _processes[viewer].View.GetValueOrDefault(NameOf(member))?.State == state,
                    $"{NameOf(viewer)} sees {NameOf(member)} as {_processes[viewer].View.GetValueOrDefault(NameOf(member))}, and not {state}",
                    _deadline.Token);
    }

    /// <summary>Generations that any member saw of that one.</summary>
    public IEnumerable<ulong> GenerationsOf(int host) =>
        _processes.SelectMany(static process => process.History).Where(seen => seen.Name == NameOf(host)).Select(static seen => seen.Generation).Distinct();

    public void Dispose()
    {
        foreach (var process in _processes)
            process.Dispose();
        Cable.Dispose();
        _deadline.Dispose();
    }

    private static string NameOf(int host) => $"m-{host}";

    private IEnumerable<string> Seen(MemberState state) => _processes.SelectMany((process, viewer) => process.History
        .Where(seen => seen.State == state).Select(seen => $"{NameOf(viewer)} saw {seen}"));
}
