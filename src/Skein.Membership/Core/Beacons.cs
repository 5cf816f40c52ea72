using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Tells this member's load straight to those who place work on it: ten times a second, and at once when it changed by a tenth. A packet of
/// its own, so that it never waits for membership news, nor delays them; a lost one is replaced by the next.
/// </summary>
internal sealed class Beacons(CoreState state, PacketWriter outbox)
{
    private (uint InFlight, uint Queued) _load;
    private (uint InFlight, uint Queued) _told;
    private ulong[] _receivers = [];
    private TimeSpan _due = TimeSpan.MaxValue;
    private TimeSpan _toldAt;
    private uint _sequence;
    private bool _hasLoad;

    /// <summary>Shortest time between two beacons, whatever changes.</summary>
    private static readonly TimeSpan Gap = TimeSpan.FromMilliseconds(5);

    /// <summary>Who wants them: members that place work here.</summary>
    public void SetReceivers(ulong[] receivers)
    {
        _receivers = receivers;
        Schedule(state.Now);
    }

    public void Update(uint inFlight, uint queued)
    {
        _load = (inFlight, queued);
        _hasLoad = true;
        Schedule(Matters ? _toldAt + Gap : _toldAt + state.Options.BeaconInterval);
    }

    public void OnTimer()
    {
        if (state.Now < _due)
            return;
        _due = TimeSpan.MaxValue;
        if (_receivers.Length == 0 || !_hasLoad)
            return;
        if (state.Phase != CorePhase.Active)
        {
            Schedule(state.Now + state.Options.BeaconInterval);
            return;
        }
        (_told, _toldAt) = (_load, state.Now);
        var beacon = new LoadUpdate
        {
            Id = state.Self.Id,
            Life = LoadUpdate.LifeOf(state.Self.Generation),
            Sequence = ++_sequence,
            InFlight = _load.InFlight,
            Queued = _load.Queued,
        };
        foreach (var receiver in _receivers)
            if (state.Table.Find(receiver) is { IsLive: true } record && record != state.Self)
                outbox.Beacon(record.Address, beacon);
        Schedule(state.Now + state.Options.BeaconInterval);
    }

    /// <summary>A beacon came; stale ones are dropped.</summary>
    public void OnReceived(MemberRecord? sender, in PacketBody body)
    {
        var loads = body.Items(PacketBody.LoadsField);
        if (sender is null || !loads.TryNext(out var bytes) || !LoadUpdate.TryRead(bytes, out var load))
            return;
        var fits = load.Id == sender.Id && load.Life == LoadUpdate.LifeOf(sender.Generation) && load.Sequence > sender.BeaconSequence;
        if (!fits)
            return;
        sender.BeaconSequence = load.Sequence;
        state.Effects.BeaconReceived(sender, load);
    }

    private bool Matters => Differs(_load.InFlight, _told.InFlight) || Differs(_load.Queued, _told.Queued);

    private static bool Differs(uint now, uint before) => Math.Abs((long)now - before) * 10 >= Math.Max(10, before);

    private void Schedule(TimeSpan due)
    {
        if (due < state.Now)
            due = state.Now;
        if (due >= _due || _receivers.Length == 0)
            return;
        _due = due;
        state.Timers.Set(due, TimerKind.Beacon);
    }
}
