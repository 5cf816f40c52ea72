namespace Skein.Membership.Core;

/// <summary>
/// Reacts to accusations against this member. Normally it refutes at once. Only the subject raises its incarnation, so a flapping member
/// backs off on its own; no coordination is needed:
/// <list type="bullet">
/// <item>A member that was isolated and declared dead repeatedly stays dead until it was in contact for a while. The delay doubles each time
/// (after route-flap damping, RFC 2439). The first return is free. A member that heard others all the time returns freely: a partition or a
/// faulty accuser caused its death.</item>
/// <item>A member that is accused repeatedly, and whose own probes fail although it hears others, is partly isolated and declares itself
/// dead.</item>
/// </list>
/// A new generation starts without this history.
/// </summary>
internal sealed class FlapDamper(CoreState state, SuspicionManager suspicions)
{
    private readonly Queue<TimeSpan> _silences = new(SilenceThreshold);
    private readonly Queue<TimeSpan> _accusations = new(AccusationThreshold);
    private int _returns;
    private uint _returnIncarnation;
    private ulong _lastSilent;
    private TimeSpan _returnedAt;
    private TimeSpan _inContactSince;
    private TimeSpan _delay;
    private TimeSpan? _countedIsolation;
    private bool _scheduled;

    // Partly isolated: this many silences and accusations within this many periods. With 20 % loss everywhere, a tenth of that occurs.
    private const int SilenceThreshold = 3;
    private const int AccusationThreshold = 6;
    private const int ThresholdPeriods = 20;

    /// <summary>This member considers itself dead and waits before it returns.</summary>
    public bool IsWithdrawn => state.Self.State == MemberState.Dead;

    public void OnSuspicion(uint incarnation)
    {
        if (incarnation < state.Self.Incarnation || IsWithdrawn)
            return;
        AddTo(_accusations, AccusationThreshold);
        // A member that was isolated again is already dead elsewhere, or will be soon.
        if (state.Rules.Corroboration && (IsPartlyIsolated || MustWait))
            Withdraw();
        else
            suspicions.Refute(incarnation);
    }

    public void OnDeath(uint incarnation)
    {
        // Older incarnations count too: the refutation of that suspicion came too late somewhere.
        if (incarnation < _returnIncarnation || IsWithdrawn)
            return;
        if (state.Rules.Corroboration && MustWait)
            Withdraw();
        else
            Return(incarnation);
    }

    /// <summary>A probe of this member failed, although it heard others if <paramref name="inContact"/>.</summary>
    public void OnProbeFailed(MemberRecord target, bool inContact)
    {
        _inContactSince = state.Now;
        if (!inContact || target.Id == _lastSilent)
            return;
        _lastSilent = target.Id;
        AddTo(_silences, SilenceThreshold);
    }

    public void OnTimer()
    {
        _scheduled = false;
        if (state.Phase != CorePhase.Active || !IsWithdrawn)
            return;
        if (state.Table.Live.Count > 0 && state.HearsNobody)
            _inContactSince = state.Now;
        if (state.Now - _inContactSince >= _delay)
            Return(state.Self.Incarnation);
        else
            Schedule();
    }

    private bool IsPartlyIsolated
    {
        get
        {
            var start = state.Now - state.Options.ProbePeriod * ThresholdPeriods;
            return _silences.Count == SilenceThreshold && _silences.Peek() > start
                && _accusations.Count == AccusationThreshold && _accusations.Peek() > start;
        }
    }

    private bool MustWait
    {
        get
        {
            while (_returns > 0 && state.Now - _returnedAt >= state.Options.FlapMemory)
            {
                _returns--;
                _returnedAt += state.Options.FlapMemory;
            }
            // Each side of a partition hears its own members.
            return WasIsolatedAgain && _returns >= state.Options.FreeReturns;
        }
    }

    /// <summary>Each isolation counts once: an accusation that began before its end may arrive after the return.</summary>
    private bool WasIsolatedAgain => state.WasRecentlyIsolated && state.IsolatedUntil != _countedIsolation;

    /// <summary>Declares itself dead. Names itself as the accuser, which every member accepts as proof.</summary>
    private void Withdraw()
    {
        _delay = state.Options.ReturnDelay;
        for (var i = state.Options.FreeReturns; i < _returns && _delay < state.Options.FlapMemory; i++)
            _delay *= 2;
        if (_delay > state.Options.FlapMemory)
            _delay = state.Options.FlapMemory;
        _inContactSince = state.Now;
        ref var accusers = ref state.Self.EditDetails.Accusers;
        accusers = default;
        accusers.Add(state.Self.Id);
        suspicions.DeclareDead(state.Self, DeathCause.Silent);
        Schedule();
    }

    private void Return(uint incarnation)
    {
        if (WasIsolatedAgain || IsWithdrawn)
            (_returns, _returnedAt) = (_returns + 1, state.Now);
        _countedIsolation = state.IsolatedUntil;
        state.Self.EditDetails.Accusers = default;
        suspicions.Refute(incarnation);
        _returnIncarnation = state.Self.Incarnation;
    }

    private void Schedule()
    {
        if (_scheduled)
            return;
        _scheduled = true;
        state.Timers.Set(state.Now + state.Options.ProbePeriod, TimerKind.FlapDamper);
    }

    private void AddTo(Queue<TimeSpan> newest, int count)
    {
        if (newest.Count == count)
            newest.Dequeue();
        newest.Enqueue(state.Now);
    }
}
