using Skein.Membership.Wire;

namespace Skein.Membership.Core;

/// <summary>
/// What this member does about accusations against itself. It refutes, at once. But only the subject raises its incarnation: one that is no
/// good damps itself, and all agree without a word.
/// <list type="bullet">
/// <item>Dead again soon after it returned, and whom it asks agrees: it stays dead until it was in sound contact for a while, twice as long
/// each time (after route-flap damping, RFC 2439). The first return is free. Whose company sees it alive is on one side of a cut, or was
/// condemned by a sick member, and answers at once.</item>
/// <item>Accused all the time, and its own probes fail although it hears others: it is half cut off, and resigns.</item>
/// </list>
/// A new life knows nothing of this.
/// </summary>
internal sealed class SelfJudge(CoreState state, Judge judge)
{
    private readonly MemberRecord[] _voters = new MemberRecord[Voters];
    private readonly Recurrence _silences = new(SilencesThatTell);
    private readonly Recurrence _accusations = new(AccusationsThatTell);
    private int _asked;
    private int _agreed;
    private int _disagreed;
    private int _returns;
    private uint _verdict;
    private uint _since;
    private ulong _lastSilent;
    private TimeSpan _returnedAt;
    private TimeSpan _soundSince;
    private TimeSpan _hold;
    private bool _asking;
    private bool _scheduled;
    private const int Voters = 3;
    private const int Majority = 2;

    // Half cut off: so many of this within so many periods. A fifth of all packets lost at everybody makes a tenth of it.
    private const int SilencesThatTell = 3;
    private const int AccusationsThatTell = 6;
    private const int PeriodsThatTell = 20;

    /// <summary>Asks a member whether it is there; its answer tells what it thinks of us. Set once.</summary>
    public Action<MemberRecord> Ask { get; set; } = static _ => { };

    /// <summary>Stays dead for now, and knows it.</summary>
    public bool IsHeld => state.Self.State == MemberState.Dead;

    /// <summary>How often this member was told that it is dead.</summary>
    public int Verdicts { get; private set; }

    /// <summary>Somebody suspects this member.</summary>
    public void OnSuspicion(uint incarnation)
    {
        if (incarnation < state.Self.Incarnation || _asking || IsHeld)
            return;
        _accusations.Note(state.Now);
        if (IsHalfCutOff)
            Resign();
        else if (state.Variant.Caution && state.Now - state.DeafUntil < state.Options.SuspicionMin && Hold() != TimeSpan.Zero)
            AskOthers(incarnation); // What it is suspected of it may long be dead of elsewhere.
        else
            judge.Refute(incarnation);
    }

    /// <summary>Somebody says that this member is dead.</summary>
    public void OnVerdict(uint incarnation)
    {
        Verdicts++;
        // An older incarnation counts too: this member was out wherever the refutation of a suspicion came too late.
        if (incarnation < _since || _asking || IsHeld)
            return;
        _verdict = incarnation;
        if (!state.Variant.Caution)
            Answer();
        else if (Hold() == TimeSpan.Zero)
            Return();
        else
            AskOthers(incarnation);
    }

    /// <summary>A member answered; <paramref name="agrees"/>: it told us that we are dead.</summary>
    public void OnAnswer(ulong sender, bool agrees)
    {
        if (!_asking || state.Phase != CorePhase.Active || !TakeVoter(sender))
            return;
        _ = agrees ? _agreed++ : _disagreed++;
        Count();
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
        if (state.Phase != CorePhase.Active)
            return;
        if (_asking)
            AskOthers();
        else if (IsHeld)
            Wait();
    }

    private bool IsHalfCutOff
    {
        get
        {
            TimeSpan lately = state.Now - state.Options.ProbePeriod * PeriodsThatTell;
            return state.Variant.Caution && _silences.HappenedSince(lately) && _accusations.HappenedSince(lately);
        }
    }

    /// <summary>How long a dead member must wait now; nothing where it may return.</summary>
    private TimeSpan Hold()
    {
        while (_returns > 0 && state.Now - _returnedAt >= state.Options.FlapMemory)
        {
            _returns--;
            _returnedAt += state.Options.FlapMemory;
        }
        int surplus = _returns - state.Options.FreeReturns;
        return surplus < 0 ? TimeSpan.Zero : HoldAfter(surplus);
    }

    private TimeSpan HoldAfter(int surplus)
    {
        TimeSpan hold = state.Options.ReturnHold;
        for (int i = 0; i < surplus && hold < state.Options.FlapMemory; i++)
            hold *= 2;
        return hold < state.Options.FlapMemory ? hold : state.Options.FlapMemory;
    }

    private void AskOthers(uint incarnation)
    {
        (_asking, _verdict, _agreed, _disagreed) = (true, incarnation, 0, 0);
        AskOthers();
    }

    private void AskOthers()
    {
        _asked = state.Table.PickLive(state.Random, _voters, onlyAlive: true);
        for (int i = 0; i < _asked; i++)
            Ask(_voters[i]);
        Schedule();
        Count();
    }

    private bool TakeVoter(ulong id)
    {
        for (int i = 0; i < _asked; i++)
        {
            if (_voters[i].Id != id)
                continue;
            _voters[i] = _voters[--_asked];
            return true;
        }
        return false;
    }

    /// <summary>Who has no company has nobody to contradict the verdict.</summary>
    private void Count()
    {
        int majority = Math.Min(Majority, _asked + _agreed + _disagreed);
        if (_disagreed > 0 && _disagreed >= majority)
            Answer();
        else if (_agreed >= majority)
            Resign();
    }

    /// <summary>Its own word is proof: those who have not heard a verdict yet hear it from the condemned.</summary>
    private void Resign()
    {
        _asking = false;
        _hold = HoldAfter(Math.Max(0, _returns - state.Options.FreeReturns));
        _soundSince = state.Now;
        _verdict = state.Self.Incarnation;
        AccuserSet itself = default;
        itself.Add(state.Self.Id);
        state.Self.Accusers = itself;
        judge.Condemn(state.Self);
        Schedule();
    }

    private void Wait()
    {
        bool deaf = state.Table.Live.Count > 0 && state.Now - state.HeardAt > state.Options.ProbePeriod * 2;
        if (deaf)
            _soundSince = state.Now;
        if (state.Now - _soundSince >= _hold)
            Return();
        else
            Schedule();
    }

    private void Return()
    {
        _returns++;
        _returnedAt = state.Now;
        Answer();
    }

    private void Answer()
    {
        _asking = false;
        state.Self.Accusers = default;
        judge.Refute(_verdict);
        _since = state.Self.Incarnation;
    }

    private void Schedule()
    {
        if (_scheduled)
            return;
        _scheduled = true;
        state.Timers.Set(state.Now + state.Options.ProbePeriod, TimerKind.SelfJudge);
    }
}
