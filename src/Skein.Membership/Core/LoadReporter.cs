using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>Gossips this member's own load as a slow fact: when it changed, and not more often than the interval allows.</summary>
internal sealed class LoadReporter(CoreState state, Broadcaster spreader)
{
    private (uint InFlight, uint Queued) _now;
    private TimeSpan _notBefore;
    private bool _waiting;
    private uint _sequence;

    public void Update(uint inFlight, uint queued)
    {
        if (_now == (inFlight, queued))
            return;
        _now = (inFlight, queued);
        if (_waiting)
            return;
        _waiting = true;
        state.Timers.Set(_notBefore > state.Now ? _notBefore : state.Now, TimerKind.Load);
    }

    public void OnTimer()
    {
        _waiting = false;
        _notBefore = state.Now + state.Options.LoadInterval;
        state.Self.Load = new LoadUpdate
        {
            Id = state.Self.Id,
            Life = LoadUpdate.LifeOf(state.Self.Generation),
            Sequence = ++_sequence,
            InFlight = _now.InFlight,
            Queued = _now.Queued,
        };
        state.Table.Touch();
        spreader.TellLoad(state.Self);
    }
}
