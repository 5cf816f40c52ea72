using Skein.Membership.Wire;

namespace Skein.Membership.Tests.Wire;

public sealed class PacketSealTests
{
    private const uint Cluster = 7;
    private const ulong Sender = 11;
    private const ulong Generation = 13;
    private static readonly byte[] Body = [8, 1, 16, 5];
    private readonly string _old = GossipKeys.NewKey();
    private readonly string _new = GossipKeys.NewKey();

    [Fact]
    public void TryOpen_SealedWithTheSameKey_AnswersTheBodyAndHidesIt()
    {
        byte[] packet = Packet(Seal(_old));

        Assert.True(Opens(Seal(_old), packet));
        Assert.Equal(-1, packet.AsSpan().IndexOf(Body));
    }

    [Fact]
    public void TryOpen_AnyBitChanged_IsRefused()
    {
        byte[] packet = Packet(Seal(_old));
        PacketSeal seal = Seal(_old);
        for (int bit = 0; bit < packet.Length * 8; bit++)
        {
            packet[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(Opens(seal, packet), $"bit {bit} changed and it still opens");
            packet[bit / 8] ^= (byte)(1 << (bit % 8));
        }
        Assert.True(Opens(seal, packet));
    }

    [Fact]
    public void TryOpen_CutAnywhere_IsRefused()
    {
        byte[] packet = Packet(Seal(_old));
        PacketSeal seal = Seal(_old);
        for (int length = 0; length < packet.Length; length++)
            Assert.False(Opens(seal, packet.AsSpan(0, length)));
    }

    [Fact]
    public void TryOpen_ClearPacketWhereKeysAreUsedAndTheOtherWayRound_IsRefused()
    {
        Assert.False(Opens(Seal(_old), Packet(Clear())));
        Assert.False(Opens(Clear(), Packet(Seal(_old))));
    }

    [Fact]
    public void TryOpen_OtherCluster_IsRefused() => Assert.False(Opens(new PacketSeal(Cluster + 1, Sender, GossipKeys.None), Packet(Clear())));

    [Fact]
    public void Rotation_AddUseRemove_NoStepLosesAPacket()
    {
        string[] steps = [_old, $"{_old}\n{_new}", $"{_new}\n{_old}", _new];
        for (int step = 0; step + 1 < steps.Length; step++)
        {
            // While a step is rolled out, some members are at the old state and some at the new.
            Assert.True(Opens(Seal(steps[step]), Packet(Seal(steps[step + 1]))), $"old cannot read new at step {step}");
            Assert.True(Opens(Seal(steps[step + 1]), Packet(Seal(steps[step]))), $"new cannot read old at step {step}");
        }
        Assert.False(Opens(Seal(_new), Packet(Seal(_old))));
    }

    [Fact]
    public void Close_SameBodyTwice_NeverRepeatsANonce()
    {
        PacketSeal seal = Seal(_old);

        Assert.NotEqual(Packet(seal), Packet(seal));
    }

    [Theory]
    [InlineData("not base64")]
    [InlineData("AAAA")]
    public void Parse_NoKey_NamesTheLineAndHidesTheText(string text)
    {
        MembershipException refusal = Assert.Throws<MembershipException>(() => GossipKeys.Parse($"# keys\n{text}"));

        Assert.Contains("line 2", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(text, refusal.Message, StringComparison.Ordinal);
    }

    private static PacketSeal Seal(string keys) => new(Cluster, Sender, GossipKeys.Parse(keys));

    private static PacketSeal Clear() => new(Cluster, Sender, GossipKeys.None);

    private static byte[] Packet(PacketSeal seal)
    {
        byte[] packet = new byte[200];
        int start = PacketHeader.Length + seal.Prefix;
        Body.CopyTo(packet, start);
        return packet[..seal.Close(packet, start + Body.Length, Generation)];
    }

    private static bool Opens(PacketSeal seal, ReadOnlySpan<byte> packet) =>
        seal.TryOpen(packet, out PacketHeader header, out ReadOnlySpan<byte> body)
        && header.Sender == Sender && header.Generation == Generation && body.SequenceEqual(Body);
}
