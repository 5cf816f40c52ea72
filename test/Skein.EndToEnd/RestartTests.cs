using Skein.EndToEnd.Support;
using Skein.Gateway.Admin;

namespace Skein.EndToEnd;

/// <summary>A killed replica is restarted, every time.</summary>
[Collection(SimulatedCluster.Name)]
public class RestartTests(SimulatedCluster shared)
{
    [Fact]
    public async Task Kill_FiveTimes_ReplicaIsBackWithANewLife()
    {
        foreach (var name in new[] { "replica-1", "replica-2", "replica-3", "replica-1", "replica-1" })
        {
            var before = (await shared.Cluster.WholeAsync()).Single(member => member.Name == name);

            ProcessHandle.Of((int)before.Pid).Send(Signal.Kill);

            await shared.Cluster.MemberAsync(
                name, row => row.State == "alive" && row.Pid != before.Pid && row.Generation > before.Generation, $"is back after pid {before.Pid}", Until.StartTimeout);
        }
    }
}
