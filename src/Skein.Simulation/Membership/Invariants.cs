using System.Runtime.InteropServices;

namespace Skein.Simulation.Membership;

/// <summary>Checks the protocol invariants after every change of any view. Keeps 8 bytes for each pair of members.</summary>
internal sealed class Invariants(MembershipWorld world)
{
    private readonly Dictionary<ulong, int> _numbers = [];
    private readonly List<List<MemberRecord>> _generations = [];
    private const int GenerationBits = 36;
    private const int IncarnationBits = 24;
    private const int StateBits = 4;
    private const int PacketsForEachOther = 16;

    /// <summary>A clock that is behind gives a generation before the start of the simulation, by a year at most.</summary>
    private const ulong FirstGeneration = MembershipWorld.Epoch - 365UL * 24 * 60 * 60 * 1000;

    public void Watch(SimulatedMember viewer)
    {
        ref var number = ref CollectionsMarshal.GetValueRefOrAddDefault(_numbers, viewer.Id, out var known);
        if (!known)
        {
            number = _generations.Count;
            _generations.Add([]);
        }
        _generations[number].Add(viewer.Core.Table.Self);
        ulong[] seen = [];
        viewer.Core.Table.Observer = (record, added) => Check(viewer, record, added, ref seen);
    }

    private void Check(SimulatedMember viewer, MemberRecord record, bool added, ref ulong[] seen)
    {
        var number = _numbers[record.Id];
        if (number >= seen.Length)
            Array.Resize(ref seen, _generations.Count);
        var now = Rank(record);
        if (now < seen[number] && !(added && WasGone(seen[number])))
            world.Fail($"{viewer.Name}'s view of {record.Name} went back from {Text(seen[number])} to {Text(now)}");
        seen[number] = now;
        if (!IsAnnounced(_generations[number], record))
            world.Fail($"{viewer.Name} sees {record.Name} at {Text(now)}, which no generation of it ever announced");
        CheckTimers(viewer);
    }

    /// <summary>Generation (two years of milliseconds), incarnation and state in one number: greater is newer.</summary>
    private ulong Rank(MemberRecord record)
    {
        var generation = record.Generation - FirstGeneration;
        if (generation >> GenerationBits != 0 || record.Incarnation >> IncarnationBits != 0)
            world.Fail($"{record.Name} is at {record.Generation}, {record.Incarnation}, which exceeds the bits of a rank");
        return (generation << (IncarnationBits + StateBits)) | ((ulong)record.Incarnation << StateBits) | (ulong)record.State;
    }

    private static MemberState StateOf(ulong rank) => (MemberState)(rank & ((1 << StateBits) - 1));

    /// <summary>Tombstones expire: a later update about the member starts anew.</summary>
    private static bool WasGone(ulong rank) => StateOf(rank) is MemberState.Dead or MemberState.Left;

    private static string Text(ulong rank) =>
        $"({(rank >> (IncarnationBits + StateBits)) + FirstGeneration}, {(rank >> StateBits) & ((1 << IncarnationBits) - 1)}, {StateOf(rank)})";

    /// <summary>Only the subject raises its own incarnation.</summary>
    private static bool IsAnnounced(List<MemberRecord> generations, MemberRecord seen)
    {
        foreach (var own in generations)
            if (own.Generation == seen.Generation && own.Incarnation >= seen.Incarnation)
                return true;
        return false;
    }

    /// <summary>Limits the datagrams per second: twice the gossip rate, and a few for the probes of, by and for each other member.</summary>
    public void CheckRate(SimulatedMember sender)
    {
        var second = world.Now.Ticks / TimeSpan.TicksPerSecond;
        var sent = sender.Rate.Second == second ? sender.Rate.Sent + 1 : 1;
        sender.Rate = (second, sent);
        var most = 2 * world.Options.GossipRate + PacketsForEachOther * sender.Core.Table.LiveCount;
        if (sent > most)
            world.Fail($"{sender.Name} sent {sent} datagrams within a second: allowed are {most}");
    }

    private void CheckTimers(SimulatedMember viewer)
    {
        if (viewer.Core.ProbesInFlight > world.Options.ProbesInFlight)
            world.Fail($"{viewer.Name} has {viewer.Core.ProbesInFlight} probes in flight: allowed are {world.Options.ProbesInFlight}");
        var gone = viewer.Core.Table.Gone.Count;
        if (gone > world.Options.MaxTombstones + world.Options.MaxTombstones / 8 + 1)
            world.Fail($"{viewer.Name} keeps {gone} tombstones: allowed are {world.Options.MaxTombstones} and an eighth");
        var timers = 64 + 8 * viewer.Core.Table.LiveCount;
        if (viewer.Core.PendingTimers > timers)
            world.Fail($"{viewer.Name} has {viewer.Core.PendingTimers} timers pending: allowed are {timers}");
    }
}
