using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Membership.Tests.Core;

/// <summary>Cores that exchange datagrams through preallocated buffers, without allocation.</summary>
internal sealed class DirectGroup
{
    private readonly Node[] _nodes;
    private readonly byte[][] _buffers = [.. Enumerable.Range(0, 64).Select(static _ => new byte[WireLimits.Datagram])];
    private readonly (Node? To, PeerAddress From, int Length)[] _waiting = new (Node?, PeerAddress, int)[64];
    private readonly GossipKeys _keys;
    private int _count;
    private TimeSpan _now;

    public DirectGroup(int count, GossipKeys keys)
    {
        _nodes = new Node[count];
        _keys = keys;
        for (var i = 0; i < count; i++)
            _nodes[i] = new Node(this, i, keys, generation: 1000);
        foreach (var node in _nodes)
            node.Core.Start(_now);
        // All members introduce themselves to all others.
        foreach (var node in _nodes)
            foreach (var other in _nodes)
                if (node != other)
                    other.Core.Synchronize(node.Address, _now);
    }

    public long Delivered { get; private set; }

    public int LiveAtFirst => _nodes[0].Core.Table.LiveCount;

    /// <summary>The member that tests examine and attack.</summary>
    public MembershipCore First => _nodes[0].Core;

    public TimeSpan Now => _now;

    /// <summary>Called with each datagram before it is delivered to the first member.</summary>
    public Action<PeerAddress, ReadOnlySpan<byte>>? ToFirst { get; set; }

    /// <summary>Called with each TCP request before it is delivered to the first member.</summary>
    public Action<ReadOnlySpan<byte>>? RequestToFirst { get; set; }

    /// <summary>Number of datagrams to addresses without a member.</summary>
    public long SentOutside { get; private set; }

    /// <summary>Bytes of datagrams to addresses without a member.</summary>
    public long SentOutsideBytes { get; private set; }

    public void Run(TimeSpan time, TimeSpan step)
    {
        for (var end = _now + time; _now < end; _now += step)
        {
            foreach (var node in _nodes)
                node.Core.Advance(_now);
            for (var i = 0; i < _count; i++)
            {
                Delivered++;
                if (ToFirst is not null && _waiting[i].To == _nodes[0])
                    ToFirst(_waiting[i].From, _buffers[i].AsSpan(0, _waiting[i].Length));
                _waiting[i].To?.Core.Receive(_waiting[i].From, _buffers[i].AsSpan(0, _waiting[i].Length), _now);
            }
            _count = 0;
        }
    }

    /// <summary>Starts a new generation of the first member, without its state, at the same address.</summary>
    public void RestartFirst()
    {
        _nodes[0] = new Node(this, 0, _keys, generation: 2000);
        _nodes[0].Core.Start(_now);
        _nodes[0].Core.Synchronize(_nodes[1].Address, _now);
    }

    /// <summary>All others exchange full state with the first member.</summary>
    public void SynchronizeWithFirst()
    {
        foreach (var node in _nodes[1..])
            node.Core.Synchronize(_nodes[0].Address, _now);
    }

    private Node? At(PeerAddress address)
    {
        foreach (var node in _nodes)
            if (node.Address == address)
                return node;
        return null;
    }

    private sealed class Node : ICoreEffects
    {
        private readonly DirectGroup _group;

        public Node(DirectGroup group, int index, GossipKeys keys, ulong generation)
        {
            _group = group;
            Address = PeerAddress.OfIPv4(0x0A000001 + (uint)index, 7946);
            var settings = new CoreSettings($"m-{index}", "c", Address, generation, [], [], ProtocolOptions.Lan) { Keys = keys };
            Core = new MembershipCore(settings, (ulong)index + 1, this);
        }

        public MembershipCore Core { get; }

        public PeerAddress Address { get; }

        void ICoreEffects.Send(PeerAddress to, ReadOnlySpan<byte> datagram)
        {
            if (_group.At(to) is not { } receiver)
            {
                _group.SentOutside++;
                _group.SentOutsideBytes += datagram.Length;
                return;
            }
            var place = _group._count++;
            datagram.CopyTo(_group._buffers[place]);
            _group._waiting[place] = (receiver, Address, datagram.Length);
        }

        void ICoreEffects.Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout)
        {
            if (to == _group._nodes[0].Address)
                _group.RequestToFirst?.Invoke(request);
            var reply = _group.At(to)!.Core.Serve(Address, request, _group._now, out _).ToArray();
            Core.ExchangeEnded(token, ExchangeOutcome.Replied, to, reply, _group._now);
        }

        void ICoreEffects.Monitor(int slot, PeerAddress to, ReadOnlySpan<byte> request)
        {
        }

        void ICoreEffects.Resolve(int seed)
        {
        }

        void ICoreEffects.BeaconReceived(MemberRecord from, LoadUpdate load)
        {
        }

        void ICoreEffects.Report(CoreEvent what, MemberRecord about)
        {
        }
    }
}
