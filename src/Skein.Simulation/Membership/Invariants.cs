using Skein.Membership;
using Skein.Membership.Core;

namespace Skein.Simulation.Membership;

/// <summary>What must hold after every change of any view (MEMBERSHIP: invariants).</summary>
internal sealed class Invariants(MembershipWorld world)
{
    private readonly Dictionary<ulong, List<SimulatedMember>> _lives = [];

    public void Watch(SimulatedMember viewer)
    {
        if (!_lives.TryGetValue(viewer.Id, out List<SimulatedMember>? lives))
            _lives[viewer.Id] = lives = [];
        lives.Add(viewer);
        var seen = new Dictionary<ulong, Sight>();
        viewer.Core.Table.Observer = record => Check(viewer, record, seen);
    }

    private void Check(SimulatedMember viewer, MemberRecord record, Dictionary<ulong, Sight> seen)
    {
        var now = (record.Generation, record.Incarnation, record.State);
        if (seen.TryGetValue(record.Id, out Sight before) && before.IsRemembered(record) && now.CompareTo(before.What) < 0)
            world.Fail($"{viewer.Name}'s view of {record.Name} went back from {before.What} to {now}");
        seen[record.Id] = new Sight(record, now);
        if (!_lives[record.Id].Exists(life => Claimed(life.Core.Table.Self, record)))
            world.Fail($"{viewer.Name} sees {record.Name} at {now}, which no life of it ever claimed");
        CheckTimers(viewer);
    }

    /// <summary>Only the subject raises its own incarnation.</summary>
    private static bool Claimed(MemberRecord own, MemberRecord seen) =>
        own.Generation == seen.Generation && own.Incarnation >= seen.Incarnation;

    /// <summary>A view begins anew with a new record: the one before was forgotten, as the dead are in the end.</summary>
    private readonly record struct Sight(MemberRecord Record, (ulong Generation, uint Incarnation, MemberState State) What)
    {
        public bool IsRemembered(MemberRecord record) => Record == record || What.State is MemberState.Alive or MemberState.Suspect;
    }

    private void CheckTimers(SimulatedMember viewer)
    {
        int timers = 64 + 8 * viewer.Core.Table.LiveCount;
        if (viewer.Core.PendingTimers > timers)
            world.Fail($"{viewer.Name} has {viewer.Core.PendingTimers} timers pending: allowed are {timers}");
    }
}
