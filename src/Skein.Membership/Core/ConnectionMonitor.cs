using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Keeps an idle TCP connection to each of the next two members on the ring. When a process dies, its kernel closes the connections, and two
/// members probe it within a round trip. On a live host both get a refusal, which proves the death. A lost host closes nothing; probes detect it.
/// </summary>
internal sealed class ConnectionMonitor(CoreState state, PacketWriter packets, Prober prober)
{
    private readonly MemberRecord[] _successors = new MemberRecord[Slots];
    private readonly PeerAddress[] _monitored = new PeerAddress[Slots];
    private readonly byte[] _request = new byte[WireLimits.Datagram];
    private bool _scheduled;
    private const int Slots = 2;

    /// <summary>Time for a changing group to settle before connections are made.</summary>
    private static readonly TimeSpan SettleTime = TimeSpan.FromMilliseconds(200);

    public void OnViewChanged() => Schedule(SettleTime);

    public void OnTimer()
    {
        _scheduled = false;
        var count = state.Phase == CorePhase.Active ? state.Table.PickSuccessors(_successors) : 0;
        for (var slot = 0; slot < Slots; slot++)
        {
            var next = slot < count ? _successors[slot].Address : default;
            if (next == _monitored[slot])
                continue;
            _monitored[slot] = next;
            var request = next.IsNone ? default : packets.Compose(_request, PacketKind.Ping, prober.NextSequence(), _successors[slot].Id);
            state.Effects.Monitor(slot, next, request);
        }
    }

    public void OnEnded(int slot, PeerAddress peer)
    {
        if (_monitored[slot] != peer || state.Phase != CorePhase.Active)
            return;
        _monitored[slot] = default;
        Schedule(state.Options.ProbePeriod);
        if (state.Table.Live.FirstOrDefault(record => record.Address == peer) is { } ended)
            prober.Start(ended, connectAtOnce: true);
    }

    private void Schedule(TimeSpan delay)
    {
        if (_scheduled || !state.Options.MonitorConnections)
            return;
        _scheduled = true;
        state.Timers.Set(state.Now + delay, TimerKind.Monitor);
    }
}
