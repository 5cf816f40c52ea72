using Skein.Membership.Codec;

namespace Skein.Simulation.Membership.Scenarios;

internal static class Quiet
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var members in settings.Sizes(5, 32, 128))
        {
            var world = Scenario.Formed(members, settings.Seed, settings.Options, settings.Settled);
            world.RunFor(20 * Scenario.Second);
            var before = Traffic.Of(world);
            world.RunFor(60 * Scenario.Second);
            var sent = Traffic.Of(world) - before;
            rows.Add([Scenario.Number(members), Sample.Text(sent.Packets / 60.0 / members), Sample.Text(sent.Bytes / 60.0 / members)]);
        }
        return new SimulationTable("", ["members", "packets/s", "bytes/s"], rows);
    }
}

internal static class LoadGossip
{
    private const int TicksPerSecond = 100;
    private const int TicksPerChange = 10;
    private const int TicksPerSample = 7;

    /// <summary>Seconds of warm-up, and seconds of measurement.</summary>
    private const int WarmUpSeconds = 10, MeasuredSeconds = 20;

    public static SimulationTable Run(ScenarioSettings settings) => new(
        "", ["members", "age p50", "age p99", "bytes/s"], [.. settings.Sizes(5, 32, 128).Select(members => Row(members, settings))]);

    private static string[] Row(int members, ScenarioSettings settings)
    {
        var world = Scenario.Formed(members, settings.Seed, settings.Options, settings.Settled);
        var ages = new Sample();
        Traffic before = default;
        var changes = new Dictionary<(ulong Member, uint Load), TimeSpan>();
        for (var tick = 0; tick < (WarmUpSeconds + MeasuredSeconds) * TicksPerSecond; tick++)
        {
            if (tick == WarmUpSeconds * TicksPerSecond)
                before = Traffic.Of(world);
            // Members report at different times, as real processes do: simultaneous reports would share packets.
            for (var member = tick % TicksPerChange; member < Math.Min(tick, members); member += TicksPerChange)
                Change(world, world.Members[member], (uint)tick, changes);
            world.RunFor(Scenario.Second / TicksPerSecond);
            if (tick >= WarmUpSeconds * TicksPerSecond && tick % TicksPerSample == 0)
                AddAges(world, changes, ages);
        }
        var sent = Traffic.Of(world) - before;
        return [Scenario.Number(members), .. ages.Quantiles(0.5, 0.99), Sample.Text(sent.Bytes / (double)MeasuredSeconds / members)];
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

internal static class BeaconAge
{
    public static SimulationTable Run(ScenarioSettings settings)
    {
        var members = settings.Members ?? 16;
        var gateways = Math.Max(1, members / 4);
        var world = Scenario.Formed(members, settings.Seed, settings.Options, settings.Settled);
        ulong[] receivers = [.. world.Members.Take(gateways).Select(static member => member.Id)];
        foreach (var replica in world.Members.Skip(gateways))
            world.Do(replica, (core, now) => core.SetBeaconReceivers(receivers, now));
        long bytes = 0;
        world.Sent = datagram => bytes += IsBeacon(datagram.Span) ? datagram.Length : 0;
        (Sample ages, Sample changes) = (new(), new());
        var reported = new Dictionary<string, (uint Load, TimeSpan At)>(StringComparer.Ordinal);
        for (var step = 0; step < 60_000; step++)
        {
            var replica = world.Members[gateways + world.Random.Next(members - gateways)];
            if (world.Random.Chance(20))
            {
                var load = (uint)world.Random.Next(64);
                reported[replica.Name] = (load, world.Now);
                world.Do(replica, (core, now) => core.UpdateLoad(load, 0, now));
            }
            world.RunFor(TimeSpan.FromMilliseconds(1));
            var gateway = world.Members[world.Random.Next(gateways)];
            if (!gateway.Beacons.TryGetValue(replica.Name, out var beacon) || !reported.TryGetValue(replica.Name, out var last))
                continue;
            ages.Add((world.Now - beacon.At).TotalMilliseconds);
            if (beacon.Load.InFlight != last.Load)
                changes.Add((world.Now - last.At).TotalMilliseconds);
        }
        var pairs = (double)gateways * (members - gateways);
        return new SimulationTable("", ["replicas", "gateways", "age p50", "age p99", "wrong for at most", "bytes/s a pair"],
        [
            [
                Scenario.Number(members - gateways), Scenario.Number(gateways), Sample.Text(ages.Quantile(0.5)), Sample.Text(ages.Quantile(0.99)),
                Sample.Text(changes.Max), Sample.Text(bytes / 60.0 / pairs),
            ],
        ]);
    }

    /// <summary>The kind is the first field of the body.</summary>
    private static bool IsBeacon(ReadOnlySpan<byte> datagram) => datagram[PacketHeader.Length + 1] == (byte)PacketKind.Beacon;
}

internal readonly record struct Traffic(long Packets, long Bytes)
{
    public static Traffic Of(MembershipWorld world) =>
        new(world.Members.Sum(static member => member.SentPackets), world.Members.Sum(static member => member.SentBytes));

    public static Traffic operator +(Traffic left, Traffic right) => new(left.Packets + right.Packets, left.Bytes + right.Bytes);

    public static Traffic operator -(Traffic left, Traffic right) => new(left.Packets - right.Packets, left.Bytes - right.Bytes);
}
