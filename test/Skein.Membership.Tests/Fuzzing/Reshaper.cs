using Google.Protobuf;
using Skein.Membership.Core;
using Skein.Membership.Codec;
using Skein.Protocol.V1;
using MemberUpdate = Skein.Protocol.V1.MemberUpdate;
using MemberVersion = Skein.Protocol.V1.MemberVersion;

namespace Skein.Membership.Tests.Fuzzing;

/// <summary>Changes the content of a packet and encodes it correctly, so that every limit is tested from both sides.</summary>
internal static class Reshaper
{
    private const int Members = 10;

    /// <summary>Returns the same bytes if they are not a packet.</summary>
    public static byte[] Reshape(byte[] bytes, SeededRandom random)
    {
        if (bytes.Length < PacketHeader.Length)
            return bytes;
        GossipPacket packet;
        try
        {
            packet = GossipPacket.Parser.ParseFrom(bytes.AsSpan(PacketHeader.Length));
        }
        catch (InvalidProtocolBufferException)
        {
            return bytes;
        }
        Change(packet, random);
        return [.. bytes[..PacketHeader.Length], .. packet.ToByteArray()];
    }

    private static void Change(GossipPacket packet, SeededRandom random)
    {
        switch (random.Next(10))
        {
            case 0:
                packet.Kind = (Protocol.V1.PacketKind)random.Next(14);
                break;
            case 1:
                packet.Target = IdOf(random.Next(Members));
                break;
            case 2:
                packet.BucketDigests = Bytes(random, 4 * (8 << random.Next(7)));
                break;
            case 3:
                packet.BucketCount = 8u << random.Next(7);
                packet.Buckets = Bytes(random, random.Next(300));
                break;
            case 4:
                packet.Wanted.AddRange(Enumerable.Range(0, random.Next(140)).Select(i => IdOf(i % Members)));
                break;
            case 5:
                packet.Versions.Add(new MemberVersion
                {
                    Id = IdOf(random.Next(Members)), Generation = Generation(random), Incarnation = Edge(random), State = (GossipState)random.Next(6), MetadataSequence = Edge(random),
                });
                break;
            case 6:
                packet.Loads.Add(new Protocol.V1.LoadUpdate { Id = IdOf(random.Next(Members)), GenerationLow = Edge(random), Sequence = Edge(random), InFlight = Edge(random) });
                break;
            case 7:
                packet.TargetAddress = Bytes(random, random.Next(20));
                break;
            default:
                packet.Updates.Add(Update(random));
                break;
        }
    }

    private static MemberUpdate Update(SeededRandom random)
    {
        var member = random.Next(Members);
        var update = new MemberUpdate
        {
            Id = IdOf(member),
            Generation = Generation(random),
            Incarnation = Edge(random),
            State = (GossipState)random.Next(6),
            MetadataSequence = Edge(random),
            GoneSeconds = Edge(random),
            Metadata = Bytes(random, random.Next(8) == 0 ? WireLimits.MetadataBytes - 2 + random.Next(5) : random.Next(8)),
        };
        if (random.Next(3) > 0)
            (update.Name, update.Address) = (NameOf(random.Next(16) == 0 ? random.Next(Members) : member), Bytes(random, random.Next(8) == 0 ? random.Next(20) : 6));
        update.Accusers.AddRange(Enumerable.Range(0, random.Next(6)).Select(_ => IdOf(random.Next(Members))).Distinct());
        update.Refused.AddRange(Enumerable.Range(0, random.Next(6)).Select(_ => IdOf(random.Next(Members))).Distinct());
        return update;
    }

    private static string NameOf(int member) => $"m-{member}";

    private static ulong IdOf(int member) => MemberName.IdOf(NameOf(member));

    /// <summary>Near the generations of the simulated group.</summary>
    private static ulong Generation(SeededRandom random) => random.Next(16) == 0 ? random.NextUInt64() : 1_800_000_000_000 + (ulong)random.Next(4);

    private static uint Edge(SeededRandom random) => random.Next(8) == 0 ? uint.MaxValue - (uint)random.Next(2) : (uint)random.Next(6);

    private static ByteString Bytes(SeededRandom random, int length)
    {
        var bytes = new byte[length];
        foreach (ref var b in bytes.AsSpan())
            b = (byte)random.Next(256);
        return ByteString.CopyFrom(bytes);
    }
}
