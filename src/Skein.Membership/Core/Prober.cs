using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Finds out who is silent: in shuffled round-robin order, several probes in flight, each decided when its own indirect round ends (SWIM,
/// DSN 2002, section 4; nacks: Lifeguard, DSN 2018). A TCP connect tells a process that is gone from a network that is slow.
/// </summary>
internal sealed class Prober(CoreState state, PacketWriter outbox, SuspicionManager judge, FlapDamper selfJudge)
{
    private readonly Dictionary<uint, Probe> _probes = [];
    private readonly Stack<Probe> _spare = new();
    private readonly ProbeRound _round = new(state);
    private readonly MemberRecord[] _helpers = new MemberRecord[state.Options.IndirectProbes];
    private readonly byte[] _request = new byte[WireLimits.Datagram];
    private uint _sequence = (uint)state.Random.Next(1 << SequenceBits);
    private TimeSpan _mayAccuseAt;
    private bool _overdue;
    private const int SequenceBits = 28;

    public int InFlight => _probes.Count;

    public void OnPeriod()
    {
        state.Timers.Set(state.Now + state.Options.ProbePeriod, TimerKind.Probe);
        _overdue = state.Variant.BlockingSends && _probes.Count > 0;
        if (!_overdue && _round.Next() is { } target)
            Start(target, askTcpAtOnce: false);
    }

    /// <summary>One probe at a time: the next one had to wait, which is how Lifeguard slows a sick member's probes down.</summary>
    private void CatchUp()
    {
        if (!_overdue)
            return;
        _overdue = false;
        if (_round.Next() is { } target)
            Start(target, askTcpAtOnce: false);
    }

    /// <summary>Probes a member out of turn.</summary>
    public void Start(MemberRecord target, bool askTcpAtOnce)
    {
        if (!target.IsLive || _probes.Count >= state.Options.ProbesInFlight || IsBeingProbed(target))
            return;
        var sequence = NextSequence();
        var probe = _spare.TryPop(out var spare) ? spare : new Probe();
        probe.Begin(target, state.Now, inTouch: state.Now - state.HeardAt < state.Options.SuspicionMin);
        _probes.Add(sequence, probe);
        // One timer at a time: most probes are answered before the first of them.
        var refusal = askTcpAtOnce ? TimeSpan.Zero : state.Health.Scale(state.Options.RefusalCheckAfter);
        if (state.Variant.StreamProbes)
            state.Timers.Set(state.Now + refusal, TimerKind.ProbeRefusalCheck, sequence);
        else
            SetDirectEnd(sequence, probe);
        outbox.Ping(target.Address, sequence, target);
    }

    public uint NextSequence()
    {
        _sequence = (_sequence + 1) & ((1 << SequenceBits) - 1);
        return _sequence = Math.Max(1, _sequence);
    }

    /// <summary>True where the ack was for one of our probes.</summary>
    public bool OnAck(uint sequence, ulong answered, ulong? generation)
    {
        if (!_probes.TryGetValue(sequence, out var probe) || probe.Target.Id != answered)
            return false;
        if (generation is { } life && life != probe.Generation)
            return false;
        probe.Target.FoundSilentAt = null;
        state.Health.Improve();
        End(sequence, probe);
        CatchUp();
        return true;
    }

    public void OnNack(uint sequence, ulong helper, ulong target)
    {
        if (!_probes.TryGetValue(sequence, out var probe) || probe.Target.Id != target || !probe.CountNack(helper))
            return;
        if (probe.AllHelpersDenied && probe.TcpEnded && state.Variant.EarlyVerdicts)
            Fail(sequence, probe, refused: false);
    }

    public void OnRefusalCheck(uint sequence)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        SetDirectEnd(sequence, probe);
        probe.TcpEnded = false;
        var rest = probe.Started + state.Health.Scale(state.Options.DirectTimeout + state.Options.IndirectTimeout) - state.Now;
        var token = new ExchangeToken(ExchangePurpose.Probe, sequence);
        state.Effects.Exchange(token, probe.Target.Address, outbox.StreamPing(_request, sequence, probe.Target.Id), rest);
    }

    public void OnExchangeEnded(uint sequence, ExchangeOutcome outcome)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        probe.TcpEnded = true;
        if (outcome == ExchangeOutcome.Refused)
            Fail(sequence, probe, refused: true);
        else if (probe.AllHelpersDenied)
            Fail(sequence, probe, refused: false);
    }

    public void OnDirectEnd(uint sequence)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        var count = state.Table.PickLive(state.Random, _helpers, except: probe.Target, onlyAlive: true);
        for (var i = 0; i < count; i++)
        {
            probe.AddHelper(_helpers[i].Id);
            outbox.PingRequest(_helpers[i].Address, sequence, probe.Target);
        }
        var end = state.Variant.EarlyVerdicts
            ? state.Now + state.Health.Scale(state.Options.IndirectTimeout)
            : probe.Started + state.Health.Scale(state.Options.ProbePeriod);
        state.Timers.Set(end, TimerKind.ProbeIndirectEnd, sequence);
    }

    public void OnIndirectEnd(uint sequence)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        Fail(sequence, probe, refused: false);
        CatchUp();
    }

    /// <summary>After a standstill nothing in flight means anything.</summary>
    public void Forget()
    {
        foreach (var probe in _probes.Values)
            _spare.Push(probe);
        _probes.Clear();
    }

    private void SetDirectEnd(uint sequence, Probe probe) =>
        state.Timers.Set(probe.Started + state.Health.Scale(state.Options.DirectTimeout), TimerKind.ProbeDirectEnd, sequence);

    private void Fail(uint sequence, Probe probe, bool refused)
    {
        var target = probe.Target;
        var sameLife = target.Generation == probe.Generation;
        var heardOthers = state.HeardAt >= probe.Started || state.Table.Live.Count == 1;
        var inTouch = probe.InTouch && heardOthers;
        var missedNacks = probe.MissedNacks;
        var helpers = probe.Helpers;
        End(sequence, probe);
        if (!sameLife || !target.IsLive)
            return;
        if (refused)
        {
            judge.Accuse(target, state.Self.Id, refused: true);
            return;
        }
        state.Health.Worsen(helpers > 0 ? missedNacks : 1);
        selfJudge.OnSilence(target, inTouch);
        target.FoundSilentAt = state.Now;
        if (MayAccuse(heardOthers))
            judge.Accuse(target, state.Self.Id, refused: false);
    }

    /// <summary>
    /// One who heard nobody since is more likely cut off than surrounded by the dead: it waits a whole window before it accuses. A sick one
    /// accuses rarely, one that is held for dead not at all.
    /// </summary>
    private bool MayAccuse(bool heardOthers)
    {
        if (!state.Variant.Caution)
            return true;
        var cutOff = !heardOthers && state.Now - state.HeardAt < state.Options.SuspicionMin;
        if (cutOff || selfJudge.IsHeld || state.Now < state.ListenUntil || state.Now < _mayAccuseAt)
            return false;
        _mayAccuseAt = state.Now + state.Options.ProbePeriod * state.Health.Score;
        return true;
    }

    private bool IsBeingProbed(MemberRecord target)
    {
        foreach (var probe in _probes.Values)
            if (probe.Target == target)
                return true;
        return false;
    }

    private void End(uint sequence, Probe probe)
    {
        _probes.Remove(sequence);
        _spare.Push(probe);
    }
}
