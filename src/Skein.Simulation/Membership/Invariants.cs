using System.Runtime.InteropServices;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership;

/// <summary>What must hold after every change of any view (MEMBERSHIP: invariants). Remembers 8 bytes for each pair of members.</summary>
internal sealed class Invariants(MembershipWorld world)
{
    private readonly Dictionary<ulong, int> _numbers = [];
    private readonly List<List<SimulatedMember>> _lives = [];

    public void Watch(SimulatedMember viewer)
    {
        ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(_numbers, viewer.Id, out bool known);
        if (!known)
        {
            number = _lives.Count;
            _lives.Add([]);
        }
        _lives[number].Add(viewer);
        ulong[] seen = [];
        viewer.Core.Table.Observer = record => Check(viewer, record, ref seen);
    }

    private void Check(SimulatedMember viewer, MemberRecord record, ref ulong[] seen)
    {
        int number = _numbers[record.Id];
        if (number >= seen.Length)
            Array.Resize(ref seen, _lives.Count);
        ulong now = Rank(record);
        if (now < seen[number])
            world.Fail($"{viewer.Name}'s view of {record.Name} went back from {seen[number]:x16} to {now:x16} (generation, incarnation, state)");
        seen[number] = now;
        if (!IsClaimed(_lives[number], record))
            world.Fail($"{viewer.Name} sees {record.Name} at {record.Generation}, {record.Incarnation}, which no life of it ever claimed");
        CheckTimers(viewer);
    }

    /// <summary>Greater is newer: 36 bits of generation (two years of milliseconds), 24 of incarnation, 4 of state.</summary>
    private ulong Rank(MemberRecord record)
    {
        ulong generation = record.Generation - MembershipWorld.Epoch + BeforeEpoch;
        if (generation >> 36 != 0 || record.Incarnation >> 24 != 0)
            world.Fail($"{record.Name} is at {record.Generation}, {record.Incarnation}, which has no room in what is remembered");
        return (generation << 28) | ((ulong)record.Incarnation << 4) | (ulong)record.State;
    }

    /// <summary>Only the subject raises its own incarnation.</summary>
    private static bool IsClaimed(List<SimulatedMember> lives, MemberRecord seen)
    {
        foreach (SimulatedMember life in lives)
            if (life.Core.Table.Self is var own && own.Generation == seen.Generation && own.Incarnation >= seen.Incarnation)
                return true;
        return false;
    }

    private void CheckTimers(SimulatedMember viewer)
    {
        int timers = 64 + 8 * viewer.Core.Table.LiveCount;
        if (viewer.Core.PendingTimers > timers)
            world.Fail($"{viewer.Name} has {viewer.Core.PendingTimers} timers pending: allowed are {timers}");
    }

    /// <summary>Clocks that are behind give generations from before the beginning: a year is allowed.</summary>
    private const ulong BeforeEpoch = 365UL * 24 * 60 * 60 * 1000;
}
