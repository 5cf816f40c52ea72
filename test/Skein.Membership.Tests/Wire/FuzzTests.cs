using System.Globalization;
using Skein.Membership.Core;
using Skein.Membership.Wire;

namespace Skein.Membership.Tests.Wire;

/// <summary>
/// Hostile bytes against every decoder and the whole receive path: nothing escapes, nothing changes, nothing grows. Two seconds here; set
/// SKEIN_FUZZ_SECONDS to go on for longer. A failure prints the seed and the bytes.
/// </summary>
public sealed class FuzzTests
{
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(
        double.Parse(Environment.GetEnvironmentVariable("SKEIN_FUZZ_SECONDS") ?? "2", CultureInfo.InvariantCulture));

    [Fact]
    public void Receive_PacketsOfAnotherCluster_ChangeNothing()
    {
        var target = new Target(GossipKeys.None);
        long revision = target.Core.Table.Revision;
        Run(target, static (corpus, random) =>
        {
            byte[] bytes = Mutate(corpus, random);
            if (bytes.Length > 2)
                bytes[2] = (byte)~corpus[0][2];
            return bytes;
        });

        Assert.Equal(revision, target.Core.Table.Revision);
        Assert.Equal(0, target.Accepted);
    }

    [Fact]
    public void Receive_SealedGroup_AcceptsNoForgery()
    {
        var target = new Target(GossipKeys.Parse(GossipKeys.NewKey()));
        long revision = target.Core.Table.Revision;
        Run(target, Mutate);

        Assert.Equal(revision, target.Core.Table.Revision);
        Assert.Equal(0, target.Accepted);
    }

    [Fact]
    public void Receive_MutatedPacketsOfTheCluster_NeverThrowAndStayInBounds()
    {
        var target = new Target(GossipKeys.None);
        Run(target, Mutate);

        Assert.True(target.Accepted > 0, "no mutation was ever accepted: the fuzzer does not reach the core");
        Assert.InRange(target.Core.Table.LiveCount, 1, ProtocolOptions.Lan.MaxMembers);
        Assert.InRange(target.Core.PendingTimers, 0, 64 + 8 * target.Core.Table.LiveCount);
    }

    private static void Run(Target target, Func<byte[][], SeededRandom, byte[]> make)
    {
        ulong seed = 1;
        byte[][] corpus = Corpus();
        long start = TimeProvider.System.GetTimestamp();
        do
        {
            for (int i = 0; i < 500; i++, seed++)
            {
                byte[] bytes = make(corpus, new SeededRandom(seed));
                try
                {
                    target.Take(bytes);
                }
                catch (Exception error)
                {
                    throw new InvalidOperationException($"seed={seed}: {Convert.ToHexString(bytes)}", error);
                }
            }
        }
        while (TimeProvider.System.GetElapsedTime(start) < Length);
        TestContext.Current.TestOutputHelper?.WriteLine($"{seed - 1} inputs");
    }

    /// <summary>Real packets, changed a little: flipped, cut, lengthened, spliced.</summary>
    private static byte[] Mutate(byte[][] corpus, SeededRandom random)
    {
        byte[] bytes = [.. corpus[random.Next(corpus.Length)]];
        for (int changes = 1 + random.Next(4); changes > 0 && bytes.Length > 0; changes--)
        {
            int at = random.Next(bytes.Length);
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes = bytes[..at];
                    break;
                case 3:
                    bytes = [.. bytes, .. new byte[random.Next(64)]];
                    break;
                case 4:
                    byte[] other = corpus[random.Next(corpus.Length)];
                    bytes = [.. bytes[..at], .. other[random.Next(other.Length)..]];
                    break;
                default:
                    bytes[at] = 0xFF;
                    break;
            }
        }
        return bytes;
    }

    /// <summary>What a group says in a lively minute, kinds of packet in all their variety.</summary>
    private static byte[][] Corpus()
    {
        var world = new Simulation.Membership.MembershipWorld(seed: 3, ProtocolOptions.Lan);
        var packets = new List<byte[]>();
        world.Passes = (_, _) => true;
        world.Sent = datagram => packets.Add(datagram.ToArray());
        world.StartMany(6);
        world.RunFor(TimeSpan.FromSeconds(5));
        world.Members[2].HostLost = true;
        world.Do(world.Members[1], static (core, now) => core.UpdateMetadata([1, 2, 3], now));
        world.Do(world.Members[1], static (core, now) => core.UpdateLoad(3, 4, now));
        world.Link = world.Link with { LossPermille = 300 };
        world.RunFor(TimeSpan.FromSeconds(55));
        return [.. packets.GroupBy(static packet => packet.Length).SelectMany(static group => group.Take(8))];
    }

    private sealed class Target : ICoreEffects
    {
        private TimeSpan _now = TimeSpan.FromSeconds(1);

        public Target(GossipKeys keys)
        {
            var settings = new CoreSettings("m-0", "simulation", PeerAddress.OfIPv4(1, 7946), 1_800_000_000_000, [], [], ProtocolOptions.Lan)
            {
                Keys = keys,
            };
            Core = new MembershipCore(settings, seed: 9, this);
            Core.Start(_now);
        }

        public MembershipCore Core { get; }

        public long Accepted { get; private set; }

        public void Take(byte[] bytes)
        {
            _now += TimeSpan.FromMicroseconds(200);
            Accepted += Core.Receive(PeerAddress.OfIPv4(2, 7946), bytes, _now) ? 1 : 0;
            Core.Serve(PeerAddress.OfIPv4(2, 7946), bytes, _now);
            Core.Advance(_now);
        }

        void ICoreEffects.Send(PeerAddress to, ReadOnlySpan<byte> datagram) => Assert.InRange(datagram.Length, 1, WireLimits.Datagram);

        void ICoreEffects.Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout)
        {
        }

        void ICoreEffects.Watch(int slot, PeerAddress to, ReadOnlySpan<byte> request)
        {
        }

        void ICoreEffects.Resolve(int seed)
        {
        }

        void ICoreEffects.Report(CoreEvent what, MemberRecord about)
        {
        }
    }
}
