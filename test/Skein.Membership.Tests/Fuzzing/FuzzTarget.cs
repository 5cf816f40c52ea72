using Google.Protobuf;
using Skein.Membership.Core;
using Skein.Membership.Transport;
using Skein.Membership.Codec;
using Skein.Protocol.V1;

namespace Skein.Membership.Tests.Fuzzing;

/// <summary>
/// The whole receive path of one member that knows a few others: an input is a datagram, a TCP request and a TCP reply. Then timers run, sometimes
/// for a whole suspicion window, and a snapshot is built. A number summarises the behaviour, so that new behaviour is noticed.
/// </summary>
internal sealed class FuzzTarget : ICoreEffects
{
    private static readonly PeerAddress Peer = PeerAddress.OfIPv4(0x0A000002, 7946);
    private static readonly GossipPacket Empty = new();
    private readonly SnapshotPublisher _beacons = new("gateway");
    private readonly ulong _generation;
    private TimeSpan _now = TimeSpan.FromSeconds(1);
    private ulong _effects;
    private ExchangeToken _asked = new(ExchangePurpose.AntiEntropy, 0);
    private bool _resolves;

    /// <param name="keys">The keys of its cluster.</param>
    /// <param name="acquaintances">Packets that introduce the other members.</param>
    /// <param name="joins">It has a seed and checks its name before activation.</param>
    public FuzzTarget(GossipKeys keys, IEnumerable<byte[]> acquaintances, bool joins = false)
    {
        string[] seeds = joins ? ["10.0.0.2:7946"] : [];
        var settings = new CoreSettings("m-0", FuzzCorpus.Cluster, PeerAddress.OfIPv4(0x0A000001, 7946), 1_800_000_000_000, [], seeds, ProtocolOptions.Lan)
        {
            Keys = keys,
        };
        Core = new MembershipCore(settings, seed: 9, this);
        Core.Start(_now);
        foreach (var packet in acquaintances)
            Take(packet);
        _generation = joins ? 0 : Core.Table.Self.Generation;
    }

    public MembershipCore Core { get; }

    public bool IsOver => Core.Phase == CorePhase.Ended;

    public long Accepted { get; private set; }

    /// <summary>Returns a number that is equal for inputs with the same behaviour.</summary>
    public ulong Take(byte[] bytes)
    {
        _now += TimeSpan.FromMilliseconds(5);
        _effects = 0;
        var revision = Core.Table.Revision;
        var accepted = Core.Receive(Peer, bytes, _now);
        var outcome = Describe(bytes, accepted);
        if (Core.Serve(Peer, bytes, _now, out _).Length > WireLimits.Stream)
            throw new InvalidOperationException("the reply is longer than a stream packet may be");
        accepted |= Core.LastDrop == DropCause.None;
        // The reply to the member's last request, or to an anti-entropy exchange if there was none.
        (var asked, _asked) = (_asked, new ExchangeToken(ExchangePurpose.AntiEntropy, 0));
        Core.ExchangeEnded(asked, ExchangeOutcome.Replied, Peer, bytes, _now);
        accepted |= Core.LastDrop == DropCause.None;
        Accepted += accepted ? 1 : 0;
        Core.Advance(_now);
        if (_resolves)
            Core.SeedResolved(0, Peer, _now);
        _resolves = false;
        // Depends on the bytes alone, so that a failure is reproducible from them.
        if (bytes.Length > 0 && bytes[^1] % 32 == 31)
            Wait();
        if (Core.Table.Revision != revision)
        {
            _beacons.Publish(Core, _now);
            CheckRecords();
        }
        CheckBounds();
        return SeededRandom.Mix(outcome ^ SeededRandom.Mix(_effects) ^ (Core.Table.Revision != revision ? 1UL << 63 : 0));
    }

    /// <summary>The window of a single accuser, in steps that are not a pause.</summary>
    private void Wait()
    {
        for (var i = 0; i < 30; i++)
        {
            _now += TimeSpan.FromMilliseconds(500);
            Core.Advance(_now);
        }
    }

    private void CheckBounds()
    {
        if (Core.Table.Self.Generation != _generation && _generation != 0)
            throw new InvalidOperationException($"the member's own generation became {Core.Table.Self.Generation}");
        if (Core.PendingTimers > 64 + 8 * Core.Table.LiveCount)
            throw new InvalidOperationException($"{Core.PendingTimers} timers are pending with {Core.Table.LiveCount} members");
        if (Core.ProbesInFlight > ProtocolOptions.Lan.ProbesInFlight)
            throw new InvalidOperationException($"{Core.ProbesInFlight} probes are in flight");
    }

    private void CheckRecords()
    {
        foreach (var record in Core.Table.All)
            if (record.Metadata.Length > WireLimits.MetadataBytes || record.Id != MemberName.IdOf(record.Name) || record.Address.IsNone)
                throw new InvalidOperationException($"{record.Name} at {record.Address} with {record.Metadata.Length} bytes of metadata was taken");
    }

    /// <summary>The drop cause, or the fields of the packet. An accepted packet must also be readable by the generated code.</summary>
    private ulong Describe(byte[] bytes, bool accepted)
    {
        if (!accepted)
            return (ulong)Core.LastDrop;
        var packet = GossipPacket.Parser.ParseFrom(bytes.AsSpan(PacketHeader.Length));
        ulong fields = 0;
        foreach (var field in GossipPacket.Descriptor.Fields.InFieldNumberOrder())
            if (!Equals(field.Accessor.GetValue(packet), field.Accessor.GetValue(Empty)))
                fields |= 1UL << field.FieldNumber;
        return ((ulong)packet.Kind << 56) | (fields << 32);
    }

    void ICoreEffects.Send(PeerAddress to, ReadOnlySpan<byte> datagram)
    {
        if (datagram.Length is 0 or > WireLimits.Datagram)
            throw new InvalidOperationException($"a datagram of {datagram.Length} bytes was sent");
        Note(1);
    }

    void ICoreEffects.Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout)
    {
        _asked = token;
        Note(2);
    }

    void ICoreEffects.Monitor(int slot, PeerAddress to, ReadOnlySpan<byte> request) => Note(3);

    void ICoreEffects.Resolve(int seed)
    {
        _resolves = true;
        Note(4);
    }

    void ICoreEffects.BeaconReceived(MemberRecord from, Membership.Codec.LoadUpdate load) => Note(5);

    void ICoreEffects.Report(CoreEvent what, MemberRecord about) => Note(8 + (int)what);

    private void Note(int effect) => _effects |= 1UL << effect;
}
