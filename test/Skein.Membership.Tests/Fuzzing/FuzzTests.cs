using System.Buffers.Binary;
using System.Globalization;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Fuzzing;

/// <summary>
/// Hostile bytes against every decoder and the whole receive path: no exception, and every bound holds. Seed and number of inputs are fixed;
/// SKEIN_FUZZ_SECONDS fuzzes for that long with a random seed, or with the one of SKEIN_FUZZ_SEED.
/// </summary>
public sealed class FuzzTests
{
    private static readonly string? Seconds = Environment.GetEnvironmentVariable("SKEIN_FUZZ_SECONDS");

    private static readonly ulong Seed = ulong.Parse(
        Environment.GetEnvironmentVariable("SKEIN_FUZZ_SEED") ?? (Seconds is null ? "1" : $"{TimeProvider.System.GetTimestamp()}"), CultureInfo.InvariantCulture);

    /// <summary>A faulty insider: its updates are applied and may change the view, but only as the protocol allows.</summary>
    [Fact]
    public void Receive_MutatedPacketsOfTheCluster_NeverThrowAndStayInBounds()
    {
        byte[][] introductions = [.. FuzzCorpus.Introductions()];
        var fuzzer = new Fuzzer(() => new FuzzTarget(GossipKeys.None, introductions), Seed, static bytes => bytes);

        Run(fuzzer, inputs: 250_000);

        FuzzCorpus.Keep(fuzzer.Finds);
        Assert.True(fuzzer.Accepted > fuzzer.Inputs / 20, $"only {fuzzer.Accepted} of {fuzzer.Inputs} got past the decoders: the fuzzer does not reach the core");
    }

    /// <summary>The same before activation: the seed sends false updates, and another process answers under its name.</summary>
    [Fact]
    public void Receive_MutatedPacketsWhileItJoins_NeverThrowAndStayInBounds()
    {
        var fuzzer = new Fuzzer(static () => new FuzzTarget(GossipKeys.None, [], joins: true), Seed, static bytes => bytes);

        Run(fuzzer, inputs: 50_000);

        Assert.True(fuzzer.Accepted > fuzzer.Inputs / 20, $"only {fuzzer.Accepted} of {fuzzer.Inputs} got past the decoders: the fuzzer does not reach the core");
    }

    /// <summary>An outsider that knows all unencrypted bytes: the same packets, sealed with a wrong key under the right key id.</summary>
    [Fact]
    public void Receive_SealedGroup_AcceptsNoForgery()
    {
        var right = KeyOf(1);
        var forger = new PacketSeal(PacketHeader.ClusterOf(FuzzCorpus.Cluster), MemberName.IdOf("m-1"), KeyOf(2));
        var fuzzer = new Fuzzer(() => new FuzzTarget(right, []), Seed, Disguise);

        Run(fuzzer, inputs: 50_000);

        Assert.Equal(0, fuzzer.Accepted);

        byte[] Disguise(byte[] bytes)
        {
            if (bytes.Length < PacketHeader.Length || bytes.Length % 4 == 0)
                return bytes;
            byte[] packet = [.. bytes[..PacketHeader.Length], .. new byte[forger.Prefix], .. bytes[PacketHeader.Length..], .. new byte[forger.Trailer]];
            forger.Close(packet, packet.Length - forger.Trailer, generation: 1_800_000_000_000);
            BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(PacketHeader.Length), GossipKeys.IdOf(right.Keys[0]));
            return packet;
        }
    }

    /// <summary>The decoders alone, on unstructured bytes.</summary>
    [Fact]
    public void TryRead_RandomBytes_NeverThrows()
    {
        var random = new Membership.Core.SeededRandom(Seed);
        var buffer = new byte[64];
        for (var i = 0; i < 500_000; i++)
        {
            var bytes = buffer.AsSpan(0, random.Next(buffer.Length));
            foreach (ref var b in bytes)
                b = (byte)random.Next(random.Next(2) == 0 ? 32 : 256);
            _ = PacketBody.TryRead(bytes, out _);
            _ = MemberUpdate.TryRead(bytes, out _);
            _ = MemberVersion.TryRead(bytes, out _);
            _ = LoadUpdate.TryRead(bytes, out _);
            _ = Membership.Codec.PeerAddress.TryRead(bytes, out _);
            _ = PacketHeader.Read(bytes, out _);
        }
    }

    /// <summary>Fixed, so that a failure is reproducible.</summary>
    private static GossipKeys KeyOf(byte content) => GossipKeys.Parse(Convert.ToBase64String([.. Enumerable.Repeat(content, GossipKeys.KeyBytes)]));

    private static void Run(Fuzzer fuzzer, long inputs)
    {
        if (Seconds is null)
        {
            fuzzer.Run(() => fuzzer.Inputs < inputs);
        }
        else
        {
            var length = TimeSpan.FromSeconds(double.Parse(Seconds, CultureInfo.InvariantCulture));
            var start = TimeProvider.System.GetTimestamp();
            fuzzer.Run(() => TimeProvider.System.GetElapsedTime(start) < length);
        }
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"seed={Seed}: {fuzzer.Inputs} inputs, {fuzzer.Accepted} taken, {fuzzer.Outcomes} kinds of outcome");
    }
}
