using Skein.Membership.Codec;

namespace Skein.Membership.Core;

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

    /// <summary>A beacon arrived. Stale beacons are dropped.</summary>
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
