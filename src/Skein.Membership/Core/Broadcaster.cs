using Skein.Membership.Codec;

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
            packets.Send(PacketKind.Gossip, _targets[i].Address);
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
    private int _sends;

    public const int MaxSends = 128;

    public int Count { get; private set; }

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

    /// <summary>Begins a packet, to which <see cref="Next"/> offers each entry at most once.</summary>
    public void BeginPacket() => (_stamp, _sends) = (_stamp + 1, 0);

    public UpdateNode? Next()
    {
        for (; _sends < MaxSends && Count > 0; _sends++)
        {
            for (var node = _bySends[_sends].First; node is not null; node = node.Next)
            {
                if (node.Stamp == _stamp)
                    continue;
                node.Stamp = _stamp;
                return node;
            }
        }
        return null;
    }

    /// <summary>Counts a transmission; at the limit the entry is removed.</summary>
    public void Sent(UpdateNode node, int limit)
    {
        Remove(node);
        if (++node.Sends < Math.Min(limit, MaxSends))
            Append(node);
        else
            node.Parts = UpdateParts.None;
    }

    private void Append(UpdateNode node)
    {
        ref var list = ref _bySends[node.Sends];
        (list.Last is { } last ? ref last.Next : ref list.First) = node;
        (node.Previous, list.Last, node.IsQueued) = (list.Last, node, true);
        Count++;
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

/// <summary>
/// Reports this member's load in two ways. Gossip carries it to all members when it changed, at most once a second. Beacons carry it directly to
/// the members that place work here, ten times a second and at once after a change of a tenth.
/// </summary>
internal sealed class LoadReporter(CoreState state, PacketWriter packets, Broadcaster broadcaster)
{
    private (uint InFlight, uint Queued) _load;
    private (uint InFlight, uint Queued) _sentLoad;
    private ulong[] _receivers = [];
    private TimeSpan _gossipNotBefore;
    private TimeSpan _beaconDue = TimeSpan.MaxValue;
    private TimeSpan _beaconSentAt;
    private uint _gossipSequence;
    private uint _beaconSequence;
    private bool _gossipScheduled;
    private bool _hasLoad;

    private static readonly TimeSpan GossipInterval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan MinBeaconInterval = TimeSpan.FromMilliseconds(5);

    public void Update(uint inFlight, uint queued)
    {
        if (_load != (inFlight, queued) && !_gossipScheduled)
        {
            _gossipScheduled = true;
            state.Timers.Set(_gossipNotBefore > state.Now ? _gossipNotBefore : state.Now, TimerKind.Load);
        }
        _load = (inFlight, queued);
        _hasLoad = true;
        ScheduleBeacon(_beaconSentAt + (ChangedByATenth ? MinBeaconInterval : state.Options.BeaconInterval));
    }

    public void SetReceivers(ulong[] receivers)
    {
        _receivers = receivers;
        ScheduleBeacon(state.Now);
    }

    public void OnGossipTimer()
    {
        _gossipScheduled = false;
        _gossipNotBefore = state.Now + GossipInterval;
        state.Self.EditDetails.Load = Report(++_gossipSequence);
        state.Table.Touch();
        broadcaster.BroadcastLoad(state.Self);
    }

    public void OnBeaconTimer()
    {
        if (state.Now < _beaconDue)
            return;
        _beaconDue = TimeSpan.MaxValue;
        if (_receivers.Length == 0 || !_hasLoad)
            return;
        if (state.Phase == CorePhase.Active)
        {
            (_sentLoad, _beaconSentAt) = (_load, state.Now);
            var beacon = Report(++_beaconSequence);
            foreach (var receiver in _receivers)
                if (state.Table.Find(receiver) is { IsLive: true } record && record != state.Self)
                    packets.Beacon(record.Address, beacon);
        }
        ScheduleBeacon(state.Now + state.Options.BeaconInterval);
    }

    public void OnBeacon(MemberRecord? sender, in PacketBody body)
    {
        var loads = body.Items(PacketBody.LoadsField);
        if (sender is null || !loads.TryNext(out var bytes) || !LoadUpdate.TryRead(bytes, out var load))
            return;
        if (load.Id != sender.Id || !load.IsOf(sender.Generation) || load.Sequence <= sender.Details.BeaconSequence)
            return;
        sender.EditDetails.BeaconSequence = load.Sequence;
        state.Effects.BeaconReceived(sender, load);
    }

    private LoadUpdate Report(uint sequence) => new()
    {
        Id = state.Self.Id,
        ShortGeneration = LoadUpdate.Shorten(state.Self.Generation),
        Sequence = sequence,
        InFlight = _load.InFlight,
        Queued = _load.Queued,
    };

    private bool ChangedByATenth => Differs(_load.InFlight, _sentLoad.InFlight) || Differs(_load.Queued, _sentLoad.Queued);

    private static bool Differs(uint now, uint before) => Math.Abs((long)now - before) * 10 >= Math.Max(10, before);

    private void ScheduleBeacon(TimeSpan due)
    {
        if (due < state.Now)
            due = state.Now;
        if (due >= _beaconDue || _receivers.Length == 0)
            return;
        _beaconDue = due;
        state.Timers.Set(due, TimerKind.Beacon);
    }
}
