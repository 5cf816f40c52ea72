namespace Skein.Membership.Core;

/// <summary>
/// Keeps a quiet TCP connection to the next two members on the ring. When a process dies its kernel closes it, and two members know within a
/// round trip whom to probe; on a live host both are then refused, which is proof. A lost host closes nothing: probes find that.
/// </summary>
internal sealed class ConnectionMonitor(CoreState state, PacketWriter outbox, Prober prober)
{
    private readonly MemberRecord[] _successors = new MemberRecord[Wards];
    private readonly PeerAddress[] _watched = new PeerAddress[Wards];
    private readonly byte[] _request = new byte[Codec.WireLimits.Datagram];
    private bool _scheduled;
    private const int Wards = 2;

    /// <summary>How long a changing group may settle before connections are made.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(200);

    /// <summary>The group changed: soon there may be others to watch.</summary>
    public void OnViewChanged() => Schedule(Settle);

    public void OnTimer()
    {
        _scheduled = false;
        var count = state.Phase == CorePhase.Active ? Ring.Successors(state.Table.Live, state.Self.Id, _successors) : 0;
        for (var slot = 0; slot < Wards; slot++)
        {
            var next = slot < count ? _successors[slot].Address : default;
            if (next == _watched[slot])
                continue;
            _watched[slot] = next;
            var request = next.IsNone ? default : outbox.StreamPing(_request, prober.NextSequence(), _successors[slot].Id);
            state.Effects.Watch(slot, next, request);
        }
    }

    /// <summary>A connection could not be made, or broke.</summary>
    public void OnEnded(int slot, PeerAddress peer)
    {
        if (_watched[slot] != peer || state.Phase != CorePhase.Active)
            return;
        _watched[slot] = default;
        Schedule(state.Options.ProbePeriod);
        foreach (var record in state.Table.Live)
        {
            if (record.Address != peer)
                continue;
            prober.Start(record, askTcpAtOnce: true);
            return;
        }
    }

    private void Schedule(TimeSpan delay)
    {
        if (_scheduled || !state.Options.WatchConnections)
            return;
        _scheduled = true;
        state.Timers.Set(state.Now + delay, TimerKind.Watch);
    }
}
