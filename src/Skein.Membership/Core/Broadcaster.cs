namespace Skein.Membership.Core;

/// <summary>Sends an update after a few milliseconds of coalescing, then round after round. A token bucket limits the packets.</summary>
internal sealed class Broadcaster(CoreState state, PacketWriter packets)
{
    private readonly MemberRecord[] _targets = new MemberRecord[state.Options.GossipFanout];
    private TimeSpan _due = TimeSpan.MaxValue;
    private TimeSpan _credit = MaxCredit;
    private TimeSpan _creditAt;

    private static readonly TimeSpan LoadGossipInterval = TimeSpan.FromMilliseconds(50);

    private TimeSpan CostOfPacket => TimeSpan.FromSeconds(1) / state.Options.GossipRate;

    /// <summary>Burst size: a quarter of a second of the rate.</summary>
    private static readonly TimeSpan MaxCredit = TimeSpan.FromMilliseconds(250);

    public void Broadcast(MemberRecord record, UpdateParts parts)
    {
        state.Updates.Add(record.Update, parts);
        Schedule(state.Rules.GossipDelay(state.Options));
    }

    public void BroadcastLoad(MemberRecord record)
    {
        state.LoadUpdates.Add(record.LoadReport, UpdateParts.State);
        Schedule(LoadGossipInterval);
    }

    public void OnTimer()
    {
        if (state.Now < _due)
            return;
        _due = TimeSpan.MaxValue;
        _credit += state.Now - _creditAt;
        _creditAt = state.Now;
        if (_credit > MaxCredit)
            _credit = MaxCredit;
        var affordable = (int)Math.Min(_targets.Length, _credit / CostOfPacket);
        var targets = _targets.AsSpan(0, affordable);
        var count = state.Rules.PickGossipTargets(state, targets) ?? PickTargets(targets);
        for (var i = 0; i < count; i++)
            packets.Gossip(_targets[i].Address);
        _credit -= CostOfPacket * count;
        if (state.Table.Live.Count == 0)
            return;
        if (state.Updates.Count > 0)
            Schedule(affordable > 0 ? state.Options.GossipInterval : CostOfPacket);
        else if (state.LoadUpdates.Count > 0)
            Schedule(LoadGossipInterval);
    }

    private int PickTargets(Span<MemberRecord> targets)
    {
        var count = state.Table.PickLive(state.Random, targets);
        // Load reports are sent only a few times, so random targets alone would miss one member in fifty. Each member also sends to its successor.
        var isLoadOnly = state.Updates.Count == 0 && state.LoadUpdates.Count > 0;
        if (isLoadOnly && count > 1 && state.Table.Successor() is { } successor && !targets[..count].Contains(successor))
            targets[count - 1] = successor;
        return count;
    }

    private void Schedule(TimeSpan delay)
    {
        var due = state.Now + delay;
        if (state.Phase == CorePhase.Observing || !state.Rules.SendsGossip || due >= _due)
            return;
        _due = due;
        state.Timers.Set(due, TimerKind.Gossip);
    }
}

/// <summary>Updates to gossip, at most one a member. Those with the fewest transmissions go first, the oldest first among equals.</summary>
internal sealed class UpdateQueue
{
    private readonly (UpdateNode? First, UpdateNode? Last)[] _bySends = new (UpdateNode?, UpdateNode?)[MaxSends];
    private int _stamp;

    public const int MaxSends = 128;

    public int Count { get; private set; }

    /// <summary>Adds parts of a member's record and resets the entry's transmissions.</summary>
    public void Add(UpdateNode node, UpdateParts parts)
    {
        Remove(node);
        node.Parts |= parts;
        node.Sends = 0;
        Append(node);
    }

    public void Remove(UpdateNode node)
    {
        if (!node.IsQueued)
            return;
        ref var list = ref _bySends[node.Sends];
        (node.Previous is { } previous ? ref previous.Next : ref list.First) = node.Next;
        (node.Next is { } next ? ref next.Previous : ref list.Last) = node.Previous;
        (node.Previous, node.Next, node.IsQueued) = (null, null, false);
        Count--;
    }

    /// <summary>Begins a packet. Each entry is offered at most once to a packet.</summary>
    public Offer BeginPacket()
    {
        _stamp++;
        return new Offer(this);
    }

    private void Append(UpdateNode node)
    {
        ref var list = ref _bySends[node.Sends];
        (list.Last is { } last ? ref last.Next : ref list.First) = node;
        (node.Previous, list.Last, node.IsQueued) = (list.Last, node, true);
        Count++;
    }

    private void CountSend(UpdateNode node, int limit)
    {
        Remove(node);
        if (++node.Sends < Math.Min(limit, MaxSends))
            Append(node);
        else
            node.Parts = UpdateParts.None;
    }

    internal struct Offer(UpdateQueue queue)
    {
        private int _sends;

        /// <summary>The next entry that was not offered to this packet; null if there is none.</summary>
        public UpdateNode? Next()
        {
            for (; _sends < MaxSends && queue.Count > 0; _sends++)
            {
                for (var node = queue._bySends[_sends].First; node is not null; node = node.Next)
                {
                    if (node.Stamp == queue._stamp)
                        continue;
                    node.Stamp = queue._stamp;
                    return node;
                }
            }
            return null;
        }

        public readonly void Sent(UpdateNode node, int limit) => queue.CountSend(node, limit);
    }
}

[Flags]
internal enum UpdateParts
{
    None = 0,
    State = 1,
    Introduction = 2,
    Metadata = 4,
    All = State | Introduction | Metadata,
}

internal sealed class UpdateNode(MemberRecord member)
{
    public readonly MemberRecord Member = member;
    public UpdateNode? Previous;
    public UpdateNode? Next;
    public UpdateParts Parts;
    public bool IsQueued;
    public int Sends;
    public int Stamp;
}
