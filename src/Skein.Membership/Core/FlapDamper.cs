using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// What this member does about accusations against itself. It refutes, at once. But only the subject raises its incarnation: one that is no
/// good damps itself, and all agree without a word.
/// <list type="bullet">
/// <item>Cut off alone and dead, again: it stays dead until it was in sound contact for a while, twice as long each time (after route-flap
/// damping, RFC 2439). The first return is free, and so is every one of a member that heard others all the time: it is on one side of a cut,
/// or a sick member condemned it.</item>
/// <item>Accused all the time, and its own probes fail although it hears others: it is half cut off, and resigns.</item>
/// </list>
/// A new life knows nothing of this.
/// </summary>
internal sealed class FlapDamper(CoreState state, SuspicionManager judge)
{
    private readonly Recurrence _silences = new(SilencesThatTell);
    private readonly Recurrence _accusations = new(AccusationsThatTell);
    private int _returns;
    private uint _since;
    private ulong _lastSilent;
    private TimeSpan _returnedAt;
    private TimeSpan _soundSince;
    private TimeSpan _hold;
    private TimeSpan? _answeredDeafness;
    private bool _scheduled;

    // Half cut off: so many of this within so many periods. A fifth of all packets lost at everybody makes a tenth of it.
    private const int SilencesThatTell = 3;
    private const int AccusationsThatTell = 6;
    private const int PeriodsThatTell = 20;

    /// <summary>Stays dead for now, and knows it.</summary>
    public bool IsHeld => state.Self.State == MemberState.Dead;

    /// <summary>Somebody suspects this member.</summary>
    public void OnSuspicion(uint incarnation)
    {
        if (incarnation < state.Self.Incarnation || IsHeld)
            return;
        _accusations.Note(state.Now);
        // Who was deaf again is dead elsewhere, or soon will be.
        if (state.Variant.Caution && (IsHalfCutOff || MustWait))
            Resign();
        else
            judge.Refute(incarnation);
    }

    /// <summary>Somebody says that this member is dead.</summary>
    public void OnVerdict(uint incarnation)
    {
        // An older incarnation counts too: this member was out wherever the refutation of a suspicion came too late.
        if (incarnation < _since || IsHeld)
            return;
        if (state.Variant.Caution && MustWait)
            Resign();
        else
            Return(incarnation);
    }

    /// <summary>A probe of ours failed; <paramref name="inTouch"/>: although we heard others all the time.</summary>
    public void OnSilence(MemberRecord target, bool inTouch)
    {
        _soundSince = state.Now;
        if (!inTouch || target.Id == _lastSilent)
            return;
        _lastSilent = target.Id;
        _silences.Note(state.Now);
    }

    public void OnTimer()
    {
        _scheduled = false;
        if (state.Phase != CorePhase.Active || !IsHeld)
            return;
        if (state.Table.Live.Count > 0 && state.HearsNobody)
            _soundSince = state.Now;
        if (state.Now - _soundSince >= _hold)
            Return(state.Self.Incarnation);
        else
            Schedule();
    }

    private bool IsHalfCutOff
    {
        get
        {
            var lately = state.Now - state.Options.ProbePeriod * PeriodsThatTell;
            return _silences.HappenedSince(lately) && _accusations.HappenedSince(lately);
        }
    }

    private bool MustWait
    {
        get
        {
            Forget();
            // One side of a cut has its own company, and hears it.
            return WasDeafAgain && _returns >= state.Options.FreeReturns;
        }
    }

    /// <summary>One cut counts once: an accusation that began before its end may come after the return from it.</summary>
    private bool WasDeafAgain => state.WasDeaf && state.DeafUntil != _answeredDeafness;

    private void Forget()
    {
        while (_returns > 0 && state.Now - _returnedAt >= state.Options.FlapMemory)
        {
            _returns--;
            _returnedAt += state.Options.FlapMemory;
        }
    }

    /// <summary>Its own word is proof: those who have not heard a verdict yet hear it from the condemned.</summary>
    private void Resign()
    {
        _hold = state.Options.ReturnHold;
        for (var i = state.Options.FreeReturns; i < _returns && _hold < state.Options.FlapMemory; i++)
            _hold *= 2;
        if (_hold > state.Options.FlapMemory)
            _hold = state.Options.FlapMemory;
        _soundSince = state.Now;
        AccuserSet itself = default;
        itself.Add(state.Self.Id);
        state.Self.Accusers = itself;
        judge.Condemn(state.Self, DeathCause.Silent);
        Schedule();
    }

    private void Return(uint incarnation)
    {
        if (WasDeafAgain || IsHeld)
            (_returns, _returnedAt) = (_returns + 1, state.Now);
        _answeredDeafness = state.DeafUntil;
        state.Self.Accusers = default;
        judge.Refute(incarnation);
        _since = state.Self.Incarnation;
    }

    private void Schedule()
    {
        if (_scheduled)
            return;
        _scheduled = true;
        state.Timers.Set(state.Now + state.Options.ProbePeriod, TimerKind.FlapDamper);
    }
}
