using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Codec;

public sealed class PacketSealTests
{
    private const uint Cluster = 7;
    private const ulong Sender = 11;
    private const ulong Generation = 13;
    private static readonly byte[] Body = [8, 1, 16, 5];
    private readonly string _old = GossipKeys.NewKey();
    private readonly string _new = GossipKeys.NewKey();

    [Fact]
    public void Open_SealedWithTheSameKey_AnswersTheBodyAndHidesIt()
    {
        var packet = Packet(Seal(_old));

        Assert.True(Opens(Seal(_old), packet));
        Assert.Equal(-1, packet.AsSpan().IndexOf(Body));
    }

    [Fact]
    public void Open_AnyBitChanged_IsRefused()
    {
        var packet = Packet(Seal(_old));
        var seal = Seal(_old);
        for (var bit = 0; bit < packet.Length * 8; bit++)
        {
            packet[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(Opens(seal, packet), $"bit {bit} changed and it still opens");
            packet[bit / 8] ^= (byte)(1 << (bit % 8));
        }
        Assert.True(Opens(seal, packet));
    }

    [Fact]
    public void Open_CutAnywhere_IsRefused()
    {
        var packet = Packet(Seal(_old));
        var seal = Seal(_old);
        for (var length = 0; length < packet.Length; length++)
            Assert.False(Opens(seal, packet.AsSpan(0, length)));
    }

    [Fact]
    public void Open_ClearPacketWhereKeysAreUsedAndTheOtherWayRound_IsRefused()
    {
        Assert.False(Opens(Seal(_old), Packet(Clear())));
        Assert.False(Opens(Clear(), Packet(Seal(_old))));
    }

    [Fact]
    public void Open_OtherCluster_IsRefused() => Assert.False(Opens(new PacketSeal(Cluster + 1, Sender, GossipKeys.None), Packet(Clear())));

    [Fact]
    public void Rotation_AddUseRemove_NoStepLosesAPacket()
    {
        string[] steps = [_old, $"{_old}\n{_new}", $"{_new}\n{_old}", _new];
        for (var step = 0; step + 1 < steps.Length; step++)
        {
            // During a rotation step, some members have the old keys and some the new ones.
            Assert.True(Opens(Seal(steps[step]), Packet(Seal(steps[step + 1]))), $"old cannot read new at step {step}");
            Assert.True(Opens(Seal(steps[step + 1]), Packet(Seal(steps[step]))), $"new cannot read old at step {step}");
        }
        Assert.False(Opens(Seal(_new), Packet(Seal(_old))));
    }

    [Fact]
    public void Close_SameBodyTwice_NeverRepeatsANonce()
    {
        var seal = Seal(_old);

        Assert.NotEqual(Packet(seal), Packet(seal));
    }

    [Fact]
    public void Open_SamePacketTwice_IsRefusedAsReplayed()
    {
        var packet = Packet(Seal(_old));
        var receiver = Seal(_old);

        Assert.Equal(DropCause.None, Open(receiver, packet));
        Assert.Equal(DropCause.Replayed, Open(receiver, packet));
    }

    [Fact]
    public void Rotation_KeyStays_ItsRecordedPacketsDoNotPassOnceMore()
    {
        var receiver = Seal(_old);
        var recorded = Packet(Seal(_old));
        Assert.Equal(DropCause.None, Open(receiver, recorded));

        receiver.Use(GossipKeys.Parse($"{_new}\n{_old}"));
        Assert.Equal(DropCause.Replayed, Open(receiver, recorded));

        receiver.Use(GossipKeys.Parse(_new));
        Assert.Equal(DropCause.UnknownKey, Open(receiver, recorded));
    }

    [Fact]
    public void Open_ForgedCopyFirst_DoesNotUseUpTheGenuineOne()
    {
        var packet = Packet(Seal(_old));
        var receiver = Seal(_old);
        byte[] forged = [.. packet];
        forged[^1] ^= 1;

        Assert.Equal(DropCause.BadTag, Open(receiver, forged));
        Assert.Equal(DropCause.None, Open(receiver, packet));
    }

    [Fact]
    public void Open_ForeignPackets_TellsWhy()
    {
        var receiver = Seal(_old);
        var genuine = Packet(Seal(_old));
        byte[] version = [.. genuine];
        version[1]++;

        Assert.Equal(DropCause.Malformed, Open(receiver, []));
        Assert.Equal(DropCause.Version, Open(receiver, version));
        Assert.Equal(DropCause.Cluster, Open(new PacketSeal(Cluster + 1, Sender, GossipKeys.Parse(_old)), genuine));
        Assert.Equal(DropCause.SealMissing, Open(Clear(), genuine));
        Assert.Equal(DropCause.SealMissing, Open(receiver, Packet(Clear())));
        Assert.Equal(DropCause.UnknownKey, Open(Seal(_new), genuine));
    }

    [Fact]
    public void TryPass_AnyOrder_EachCounterPassesOnceUnlessTooOld()
    {
        var random = new SeededRandom(5);
        var window = new ReplayWindow();
        var passed = new HashSet<ulong>();
        ulong highest = 0;
        for (var i = 0; i < 200_000; i++)
        {
            // Mostly a little ahead or behind, sometimes a jump beyond the window.
            var counter = random.Next(1000) == 0 ? highest + (ulong)random.Next(10_000) : highest + 8 - Math.Min(highest, (ulong)random.Next(3000));
            var isTooOld = highest >= ReplayWindow.Size && counter <= highest - ReplayWindow.Size;

            Assert.Equal(!isTooOld && passed.Add(counter), window.TryAccept(counter));
            highest = Math.Max(highest, counter);
        }
    }

    [Theory]
    [InlineData("not base64")]
    [InlineData("AAAA")]
    public void Parse_NoKey_NamesTheLineAndHidesTheText(string text)
    {
        var refusal = Assert.Throws<ArgumentException>(() => GossipKeys.Parse($"# keys\n{text}"));

        Assert.Contains("line 2", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(text, refusal.Message, StringComparison.Ordinal);
    }

    private static PacketSeal Seal(string keys) => new(Cluster, Sender, GossipKeys.Parse(keys));

    private static PacketSeal Clear() => new(Cluster, Sender, GossipKeys.None);

    private static byte[] Packet(PacketSeal seal)
    {
        var packet = new byte[200];
        var start = PacketHeader.Length + seal.Prefix;
        Body.CopyTo(packet, start);
        return packet[..seal.Close(packet, start + Body.Length, Generation)];
    }

    private static DropCause Open(PacketSeal seal, ReadOnlySpan<byte> packet) => seal.Open(packet, out _, out _);

    private static bool Opens(PacketSeal seal, ReadOnlySpan<byte> packet) =>
        seal.Open(packet, out var header, out var body) == DropCause.None
        && header.Sender == Sender && header.Generation == Generation && body.SequenceEqual(Body);
}
