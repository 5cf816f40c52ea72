using Skein.Membership.Codec;

namespace Skein.Simulation.Membership.Scenarios;

internal static class Cost
{
    private const int TicksPerSecond = 100;
    private const int TicksPerChange = 10;
    private const int TicksPerSample = 7;

    private const int WarmUpSeconds = 10, MeasuredSeconds = 20;

    public static IEnumerable<object[]> Quiet(ScenarioSettings settings)
    {
        foreach (var members in settings.Sizes(5, 32, 128))
        {
            var world = settings.Form(members);
            world.RunFor(20 * Scenario.Second);
            var before = Traffic.Of(world);
            world.RunFor(60 * Scenario.Second);
            var sent = Traffic.Of(world) - before;
            yield return [members, sent.Packets / 60.0 / members, sent.Bytes / 60.0 / members];
        }
    }

    public static IEnumerable<object[]> LoadGossip(ScenarioSettings settings)
    {
        foreach (var members in settings.Sizes(5, 32, 128))
        {
            var world = settings.Form(members);
            var ages = new Sample();
            Traffic before = default;
            var changes = new Dictionary<(ulong Member, uint Load), TimeSpan>();
            for (var tick = 0; tick < (WarmUpSeconds + MeasuredSeconds) * TicksPerSecond; tick++)
            {
                if (tick == WarmUpSeconds * TicksPerSecond)
                    before = Traffic.Of(world);
                // Members report at different times, as real processes do: simultaneous reports would share packets.
                for (var member = tick % TicksPerChange; member < Math.Min(tick, members); member += TicksPerChange)
                {
                    changes[(world.Members[member].Id, (uint)tick)] = world.Now;
                    world.Do(world.Members[member], (core, now) => core.UpdateLoad((uint)tick, 0, now));
                }
                world.RunFor(Scenario.Second / TicksPerSecond);
                if (tick >= WarmUpSeconds * TicksPerSecond && tick % TicksPerSample == 0)
                    AddAges(world, changes, ages);
            }
            var sent = Traffic.Of(world) - before;
            yield return [members, .. ages.Quantiles(0.5, 0.99), sent.Bytes / (double)MeasuredSeconds / members];
        }
    }

    private static void AddAges(MembershipWorld world, Dictionary<(ulong Member, uint Load), TimeSpan> changes, Sample ages)
    {
        var viewer = world.Members[world.Random.Next(world.Members.Count)];
        foreach (var record in viewer.Core.Table.Live)
            if (changes.TryGetValue((record.Id, record.Details.Load.InFlight), out var at))
                ages.Add(world.Now - at);
    }

    public static IEnumerable<object[]> BeaconAge(ScenarioSettings settings)
    {
        var members = settings.Members ?? 16;
        var gateways = Math.Max(1, members / 4);
        var replicas = members - gateways;
        var world = settings.Form(members);
        ulong[] receivers = [.. world.Members.Take(gateways).Select(static member => member.Id)];
        foreach (var replica in world.Members.Skip(gateways))
            world.Do(replica, (core, now) => core.SetBeaconReceivers(receivers, now));
        long bytes = 0;
        // The kind is the first field of the body.
        world.Sent = datagram => bytes += datagram.Span[PacketHeader.Length + 1] == (byte)PacketKind.Beacon ? datagram.Length : 0;
        (Sample ages, Sample changes) = (new(), new());
        var reported = new Dictionary<string, (uint Load, TimeSpan At)>(StringComparer.Ordinal);
        for (var step = 0; step < 60_000; step++)
        {
            var replica = world.Members[gateways + world.Random.Next(replicas)];
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
        yield return [replicas, gateways, .. ages.Quantiles(0.5, 0.99), changes.Max, bytes / 60.0 / ((double)gateways * replicas)];
    }
}

internal readonly record struct Traffic(long Packets, long Bytes)
{
    public static Traffic Of(MembershipWorld world) =>
        new(world.Members.Sum(static member => member.SentPackets), world.Members.Sum(static member => member.SentBytes));

    public static Traffic operator +(Traffic left, Traffic right) => new(left.Packets + right.Packets, left.Bytes + right.Bytes);

    public static Traffic operator -(Traffic left, Traffic right) => new(left.Packets - right.Packets, left.Bytes - right.Bytes);
}
