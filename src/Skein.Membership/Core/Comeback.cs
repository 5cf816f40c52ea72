using Skein.Membership.Wire;

namespace Skein.Membership.Core;

/// <summary>
/// How a member that the others hold for dead comes back. Only the subject raises its incarnation, so it damps itself, and all agree without
/// a word: it stays dead until it speaks up. The first return is free; one who dies again soon, or whose own probes show that it is half cut
/// off, first stays in sound contact for a while, twice as long each time (after route-flap damping, RFC 2439). Whose company sees it alive is
/// on one side of a cut, or was condemned by a sick member: it answers at once, always. A new life knows nothing of this.
/// </summary>
internal sealed class Comeback(CoreState state, Judge judge)
{
    private readonly MemberRecord[] _voters = new MemberRecord[Voters];
    private readonly TimeSpan?[] _silences = new TimeSpan?[SilencesThatTell];
    private AccuserSet _accusers;
    private uint _verdict;
    private uint _since;
    private int _asked;
    private int _agreed;
    private int _disagreed;
    private int _returns;
    private int _silence;
    private ulong _lastSilent;
    private TimeSpan _returnedAt;
    private TimeSpan _soundSince;
    private TimeSpan _hold;
    private bool _asking;
    private bool _scheduled;
    private const int Voters = 3;
    private const int Majority = 2;

    /// <summary>So many of this member's probes must fail while it hears others, within so many periods, before it doubts itself.</summary>
    private const int SilencesThatTell = 4;
    private const int PeriodsThatTell = 20;

    /// <summary>Asks a member whether it is there; its answer tells what it thinks of us. Set once.</summary>
    public Action<MemberRecord> Ask { get; set; } = static _ => { };

    /// <summary>Stays dead for now, and knows it.</summary>
    public bool IsHeld => state.Self.State == MemberState.Dead;

    /// <summary>Says nothing yet about what it is accused of.</summary>
    public bool IsSilent => _asking || IsHeld;

    /// <summary>How often this member was told that it is dead.</summary>
    public int Verdicts { get; private set; }

    /// <summary>Somebody says that this member is dead.</summary>
    public void OnVerdict(in MemberUpdate claim)
    {
        Verdicts++;
        // An older incarnation counts too: this one was out where the refutation of a suspicion came too late.
        if (IsSilent || claim.Incarnation < _since)
            return;
        _verdict = claim.Incarnation;
        _accusers = claim.Accusers;
        if (!state.Variant.Caution)
            judge.Refute(_verdict);
        else if (Hold() == TimeSpan.Zero)
            Return();
        else
            AskOthers();
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
        _silences[_silence] = state.Now;
        _silence = (_silence + 1) % SilencesThatTell;
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

    /// <summary>How long this member must wait now; nothing where it may return.</summary>
    private TimeSpan Hold()
    {
        while (_returns > 0 && state.Now - _returnedAt >= state.Options.FlapMemory)
        {
            _returns--;
            _returnedAt += state.Options.FlapMemory;
        }
        int surplus = _returns - state.Options.FreeReturns;
        if (surplus < 0 && !DoubtsItself)
            return TimeSpan.Zero;
        TimeSpan hold = state.Options.ReturnHold;
        for (int i = 0; i < surplus && hold < state.Options.FlapMemory; i++)
            hold *= 2;
        return hold < state.Options.FlapMemory ? hold : state.Options.FlapMemory;
    }

    private bool DoubtsItself =>
        _silences[_silence] is { } first && state.Now - first < state.Options.ProbePeriod * PeriodsThatTell;

    private void AskOthers()
    {
        _asking = true;
        (_agreed, _disagreed) = (0, 0);
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
        {
            _asking = false;
            Answer();
        }
        else if (_agreed >= majority)
        {
            _asking = false;
            Resign();
        }
    }

    /// <summary>Those who have not heard the verdict yet hear it from the condemned.</summary>
    private void Resign()
    {
        _hold = Hold();
        _soundSince = state.Now;
        _verdict = state.Self.Incarnation;
        state.Self.Accusers = _accusers;
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
        judge.Refute(_verdict);
        state.Self.Accusers = default;
        _since = state.Self.Incarnation;
    }

    private void Schedule()
    {
        if (_scheduled)
            return;
        _scheduled = true;
        state.Timers.Set(state.Now + state.Options.ProbePeriod, TimerKind.Comeback);
    }
}
