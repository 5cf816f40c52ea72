using Skein.Membership.Codec;

namespace Skein.Simulation.Membership.Scenarios;

/// <summary>What a group at rest costs.</summary>
internal sealed class Quiet : IMembershipScenario
{
    public string Name => "quiet";

    public string Summary => "A group at rest: datagrams and bytes of UDP payload that each member sends in a second";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(5, 32, 128))
        {
            var world = Stage.Formed(members, settings.Seed, settings.Options, settings.Settled);
            world.RunFor(20 * Stage.Second);
            var before = Traffic.Of(world);
            world.RunFor(60 * Stage.Second);
            var sent = Traffic.Of(world) - before;
            rows.Add([Stage.Number(members), Sample.Text(sent.Packets / 60.0 / members), Sample.Text(sent.Bytes / 60.0 / members)]);
        }
        return new SimulationTable("", ["members", "packets/s", "bytes/s"], rows);
    }
}

/// <summary>Every member's load changes all the time.</summary>
internal sealed class LoadGossip : IMembershipScenario
{
    private const int TicksPerSecond = 100;
    private const int TicksPerChange = 10;
    private const int TicksPerLook = 7;

    /// <summary>Seconds before ages and traffic count, and seconds in which they do.</summary>
    private const int Warming = 10, Looking = 20;

    public string Name => "load-gossip";

    public string Summary => "Every member's load changes all the time and is gossiped at 1 Hz: age of what others know, and what it costs a member";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(5, 32, 128))
            rows.Add(Row(members, settings));
        return new SimulationTable("", ["members", "age p50", "age p99", "bytes/s"], rows);
    }

    private static string[] Row(int members, ScenarioSettings settings)
    {
        var world = Stage.Formed(members, settings.Seed, settings.Options, settings.Settled);
        var ages = new Sample();
        Traffic before = default;
        var changes = new Dictionary<(ulong Member, uint Load), TimeSpan>();
        for (var tick = 0; tick < (Warming + Looking) * TicksPerSecond; tick++)
        {
            if (tick == Warming * TicksPerSecond)
                before = Traffic.Of(world);
            // Each in a beat of its own, as processes are: reports that all go out in one moment would share their packets.
            for (var member = tick % TicksPerChange; member < Math.Min(tick, members); member += TicksPerChange)
                Change(world, world.Members[member], (uint)tick, changes);
            world.RunFor(Stage.Second / TicksPerSecond);
            if (tick >= Warming * TicksPerSecond && tick % TicksPerLook == 0)
                AddAges(world, changes, ages);
        }
        var sent = Traffic.Of(world) - before;
        return [Stage.Number(members), Sample.Text(ages.Quantile(0.5)), Sample.Text(ages.Quantile(0.99)), Sample.Text(sent.Bytes / (double)Looking / members)];
    }

    private static void Change(MembershipWorld world, SimulatedMember member, uint load, Dictionary<(ulong Member, uint Load), TimeSpan> changes)
    {
        changes[(member.Id, load)] = world.Now;
        world.Do(member, (core, now) => core.UpdateLoad(load, 0, now));
    }

    private static void AddAges(MembershipWorld world, Dictionary<(ulong Member, uint Load), TimeSpan> changes, Sample ages)
    {
        var viewer = world.Members[world.Random.Next(world.Members.Count)];
        foreach (var record in viewer.Core.Table.Live)
            if (changes.TryGetValue((record.Id, record.Load.InFlight), out var at))
                ages.Add(world.Now - at);
    }
}

/// <summary>Replicas tell gateways their load.</summary>
internal sealed class BeaconAge : IMembershipScenario
{
    public string Name => "beacons";

    public string Summary => "Replicas beacon their load, which changes at random, to gateways: age in ms of what a gateway knows, at rest and after a change";

    public SimulationTable Run(ScenarioSettings settings)
    {
        var members = settings.Members ?? 16;
        var gateways = Math.Max(1, members / 4);
        var world = Stage.Formed(members, settings.Seed, settings.Options, settings.Settled);
        ulong[] receivers = [.. world.Members.Take(gateways).Select(static member => member.Id)];
        foreach (var replica in world.Members.Skip(gateways))
            world.Do(replica, (core, now) => core.SetBeaconReceivers(receivers, now));
        long bytes = 0;
        world.Sent = datagram => bytes += IsBeacon(datagram.Span) ? datagram.Length : 0;
        (Sample ages, Sample changes) = (new(), new());
        var told = new Dictionary<string, (uint Load, TimeSpan At)>(StringComparer.Ordinal);
        for (var step = 0; step < 60_000; step++)
        {
            var replica = world.Members[gateways + world.Random.Next(members - gateways)];
            if (world.Random.Chance(20))
            {
                var load = (uint)world.Random.Next(64);
                told[replica.Name] = (load, world.Now);
                world.Do(replica, (core, now) => core.UpdateLoad(load, 0, now));
            }
            world.RunFor(TimeSpan.FromMilliseconds(1));
            var gateway = world.Members[world.Random.Next(gateways)];
            if (!gateway.Beacons.TryGetValue(replica.Name, out var beacon) || !told.TryGetValue(replica.Name, out var last))
                continue;
            ages.Add((world.Now - beacon.At).TotalMilliseconds);
            if (beacon.Load.InFlight != last.Load)
                changes.Add((world.Now - last.At).TotalMilliseconds);
        }
        var pairs = (double)gateways * (members - gateways);
        return new SimulationTable("", ["replicas", "gateways", "age p50", "age p99", "wrong for at most", "bytes/s a pair"],
        [
            [
                Stage.Number(members - gateways), Stage.Number(gateways), Sample.Text(ages.Quantile(0.5)), Sample.Text(ages.Quantile(0.99)),
                Sample.Text(changes.Max), Sample.Text(bytes / 60.0 / pairs),
            ],
        ]);
    }

    /// <summary>Its body begins with its kind.</summary>
    private static bool IsBeacon(ReadOnlySpan<byte> datagram) => datagram[PacketHeader.Length + 1] == (byte)PacketKind.Beacon;
}

internal readonly record struct Traffic(long Packets, long Bytes)
{
    public static Traffic Of(MembershipWorld world) =>
        new(world.Members.Sum(static member => member.SentPackets), world.Members.Sum(static member => member.SentBytes));

    public static Traffic operator +(Traffic left, Traffic right) => new(left.Packets + right.Packets, left.Bytes + right.Bytes);

    public static Traffic operator -(Traffic left, Traffic right) => new(left.Packets - right.Packets, left.Bytes - right.Bytes);
}
