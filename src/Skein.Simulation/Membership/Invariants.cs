using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership;

/// <summary>What must hold after every change of any view (MEMBERSHIP: invariants).</summary>
internal sealed class Invariants(MembershipWorld world)
{
    private readonly Dictionary<ulong, SimulatedMember> _newest = [];

    public void Watch(SimulatedMember viewer)
    {
        _newest[viewer.Id] = viewer;
        var seen = new Dictionary<ulong, (ulong Generation, uint Incarnation, MemberState State)>();
        viewer.Core.Table.Observer = record => Check(viewer, record, seen);
    }

    private void Check(
        SimulatedMember viewer, MemberRecord record, Dictionary<ulong, (ulong Generation, uint Incarnation, MemberState State)> seen)
    {
        var now = (record.Generation, record.Incarnation, record.State);
        if (seen.TryGetValue(record.Id, out var before) && now.CompareTo(before) < 0)
            world.Fail($"{viewer.Name}'s view of {record.Name} went back from {before} to {now}");
        seen[record.Id] = now;
        SimulatedMember subject = _newest[record.Id];
        MemberRecord own = subject.Core.Table.Self;
        if (record.Generation == own.Generation && record.Incarnation > own.Incarnation)
            world.Fail($"{viewer.Name} sees {record.Name} at incarnation {record.Incarnation}, but it only raised its own to {own.Incarnation}");
        if (record.Generation > own.Generation)
            world.Fail($"{viewer.Name} sees {record.Name} at generation {record.Generation}, but its newest life has {own.Generation}");
        int timers = 64 + 8 * viewer.Core.Table.LiveCount;
        if (viewer.Core.PendingTimers > timers)
            world.Fail($"{viewer.Name} has {viewer.Core.PendingTimers} timers pending: allowed are {timers}");
    }
}
