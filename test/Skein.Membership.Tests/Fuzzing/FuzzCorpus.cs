using Skein.Membership.Core;
using Skein.Membership.Codec;
using Skein.Simulation.Membership;

namespace Skein.Membership.Tests.Fuzzing;

/// <summary>
/// The stored inputs: files in <c>Corpus</c>, one packet a line, in hex. <c>valid.hex</c> was recorded in a simulated group; <c>found.hex</c>
/// contains mutations that caused new behaviour. SKEIN_FUZZ_KEEP=directory writes both again.
/// </summary>
internal static class FuzzCorpus
{
    /// <summary>The name of the recorded cluster.</summary>
    public const string Cluster = "simulation";

    private const string Valid = "valid.hex";
    private const string Found = "found.hex";

    /// <summary>Maximum number of stored mutations: the first ones.</summary>
    public const int MostFound = 150;

    /// <summary>Where to write the corpus; null: nowhere.</summary>
    private static readonly string? KeepIn = Environment.GetEnvironmentVariable("SKEIN_FUZZ_KEEP");

    private static readonly Lazy<byte[][]> ValidPackets = new(static () => KeepIn is null ? Read(Valid) : [.. Hear()]);

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Corpus");

    public static List<byte[]> Load() => [.. ValidPackets.Value, .. Read(Found)];

    /// <summary>Packets that introduce a group.</summary>
    public static IEnumerable<byte[]> Introductions() => ValidPackets.Value.Where(static packet =>
        PacketBody.TryRead(packet.AsSpan(PacketHeader.Length), out var body)
        && body.Kind == PacketKind.Gossip && body.Items(PacketBody.UpdatesField).TryNext(out _)).Take(8);

    /// <summary>Writes the corpus if the environment asks for it.</summary>
    public static void Keep(IEnumerable<byte[]> finds)
    {
        if (KeepIn is null)
            return;
        Directory.CreateDirectory(KeepIn);
        File.WriteAllLines(Path.Combine(KeepIn, Valid), Lines(ValidPackets.Value));
        File.WriteAllLines(Path.Combine(KeepIn, Found), Lines([.. Read(Found), .. finds]).Take(MostFound));
    }

    /// <summary>The packets of a busy minute: up to four of each kind and length.</summary>
    private static IEnumerable<byte[]> Hear()
    {
        var world = new MembershipWorld(seed: 3, ProtocolOptions.Lan);
        var packets = new List<byte[]>();
        world.Sent = datagram => packets.Add(datagram.ToArray());
        world.StartMany(6);
        world.RunFor(TimeSpan.FromSeconds(5));
        world.Members[2].HostLost = true;
        world.Do(world.Members[1], static (core, now) => core.UpdateMetadata([1, 2, 3], now));
        world.Do(world.Members[1], (core, now) => core.SetBeaconReceivers([world.Members[0].Id], now));
        world.Do(world.Members[1], static (core, now) => core.UpdateLoad(3, 4, now));
        world.Link = world.Link with { LossPermille = 300 };
        world.RunFor(TimeSpan.FromSeconds(55));
        return packets.GroupBy(static packet => (packet.Length, packet[PacketHeader.Length + 1])).SelectMany(static group => group.Take(4));
    }

    private static IEnumerable<string> Lines(IEnumerable<byte[]> packets) => packets.Select(Convert.ToHexString).Distinct(StringComparer.Ordinal);

    private static byte[][] Read(string file) => [.. File.ReadLines(Path.Combine(Folder, file)).Select(Convert.FromHexString)];
}
