using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Detects silent members: shuffled round-robin order, several concurrent probes, each decided at the end of its own indirect round (SWIM,
/// DSN 2002, section 4; nacks: Lifeguard, DSN 2018). A TCP connect distinguishes a stopped process from a slow network.
/// </summary>
internal sealed class Prober(CoreState state, PacketWriter packets, SuspicionManager suspicions, FlapDamper flapDamper)
{
    private readonly Dictionary<uint, Probe> _probes = [];
    private readonly Stack<Probe> _pool = new();
    private readonly MemberRecord[] _helpers = new MemberRecord[state.Options.IndirectProbes];
    private readonly byte[] _request = new byte[WireLimits.Datagram];
    private uint _sequence = (uint)state.Random.Next(1 << SequenceBits);
    private TimeSpan _mayAccuseAt;
    private bool _ringNext;
    private bool _overdue;
    private const int SequenceBits = 28;

    /// <summary>How many times as long as a refusal took an answer to the ping may take.</summary>
    private const int RefusalPatience = 4;

    private static readonly TimeSpan LeastRefusalWait = TimeSpan.FromMilliseconds(20);

    public int InFlight => _probes.Count;

    public void OnPeriod()
    {
        state.Timers.Set(state.Now + state.Options.ProbePeriod, TimerKind.Probe);
        _overdue = state.Rules.OneProbeAtATime && _probes.Count > 0;
        if (!_overdue)
            StartNext();
    }

    /// <summary>Probes a member now. Does nothing if it is being probed or the limit of concurrent probes is reached.</summary>
    public void Start(MemberRecord target, bool connectAtOnce)
    {
        if (!target.IsLive || _probes.Count >= state.Options.ProbesInFlight || IsBeingProbed(target))
            return;
        var sequence = NextSequence();
        var probe = _pool.TryPop(out var pooled) ? pooled : new Probe();
        probe.Begin(target, state.Now, inContact: state.Now - state.HeardAt < state.Options.SuspicionMin);
        _probes.Add(sequence, probe);
        // One timer at a time: most probes are acknowledged before the first timer.
        var refusal = connectAtOnce ? TimeSpan.Zero : state.Health.Scale(state.Options.RefusalCheckAfter);
        if (state.Rules.StreamProbes)
            state.Timers.Set(state.Now + refusal, TimerKind.ProbeRefusalCheck, sequence);
        else
            SetDirectEnd(sequence, probe);
        packets.Ping(target.Address, sequence, target);
    }

    public uint NextSequence()
    {
        _sequence = (_sequence + 1) & ((1 << SequenceBits) - 1);
        return _sequence = Math.Max(1, _sequence);
    }

    /// <summary>Returns whether the ack belongs to a probe of this member. An ack that a helper relayed has no generation.</summary>
    public bool OnAck(uint sequence, ulong answered, ulong? generation)
    {
        if (!_probes.TryGetValue(sequence, out var probe) || probe.Target.Id != answered || (generation ?? probe.Generation) != probe.Generation)
            return false;
        probe.Target.ClearFoundSilent();
        if (probe.Refused)
            probe.Target.EditDetails.IsRefusedAlive = true;
        state.Health.Improve();
        End(sequence, probe);
        StartOverdue();
        return true;
    }

    public void OnNack(uint sequence, ulong helper, ulong target)
    {
        if (!_probes.TryGetValue(sequence, out var probe) || probe.Target.Id != target || !probe.SilentHelpers.Remove(helper))
            return;
        if (probe.AllHelpersDenied && probe.TcpEnded && state.Rules.EndsProbesEarly)
            Fail(sequence, probe, refused: false);
    }

    public void OnRefusalCheck(uint sequence)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        SetDirectEnd(sequence, probe);
        probe.TcpEnded = false;
        probe.TcpStarted = state.Now;
        var rest = probe.Started + state.Health.Scale(state.Options.DirectTimeout + state.Options.IndirectTimeout) - state.Now;
        var token = new ExchangeToken(ExchangePurpose.Probe, sequence);
        state.Effects.Exchange(token, probe.Target.Address, packets.Compose(_request, PacketKind.Ping, sequence, probe.Target.Id), rest);
    }

    public void OnExchangeEnded(uint sequence, ExchangeOutcome outcome)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        probe.TcpEnded = true;
        if (outcome == ExchangeOutcome.Refused && !probe.Target.Details.IsRefusedAlive)
            OnRefused(sequence, probe);
        else if (probe.AllHelpersDenied)
            Fail(sequence, probe, refused: false);
    }

    public void OnRefusalEnd(uint sequence)
    {
        if (_probes.TryGetValue(sequence, out var probe) && probe.Refused)
            Fail(sequence, probe, refused: true);
    }

    /// <summary>
    /// Something between the hosts may refuse connections while datagrams pass. A process that runs answers the ping in about the time in which the refusal
    /// came: a refusal counts only after several times that.
    /// </summary>
    private void OnRefused(uint sequence, Probe probe)
    {
        probe.Refused = true;
        var longest = state.Health.Scale(state.Options.RefusalCheckAfter);
        var fair = RefusalPatience * (state.Now - probe.TcpStarted);
        fair = fair < LeastRefusalWait ? LeastRefusalWait : fair > longest ? longest : fair;
        if (state.Now - probe.Started >= fair)
            Fail(sequence, probe, refused: true);
        else
            state.Timers.Set(probe.Started + fair, TimerKind.ProbeRefusalEnd, sequence);
    }

    public void OnDirectEnd(uint sequence)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        probe.Helpers = state.Table.PickLive(state.Random, _helpers, except: probe.Target, onlyAlive: true);
        for (var i = 0; i < probe.Helpers; i++)
        {
            probe.SilentHelpers.Add(_helpers[i].Id);
            packets.PingRequest(_helpers[i].Address, sequence, probe.Target);
        }
        var end = state.Rules.EndsProbesEarly
            ? state.Now + state.Health.Scale(state.Options.IndirectTimeout)
            : probe.Started + state.Health.Scale(state.Options.ProbePeriod);
        state.Timers.Set(end, TimerKind.ProbeIndirectEnd, sequence);
    }

    public void OnIndirectEnd(uint sequence)
    {
        if (!_probes.TryGetValue(sequence, out var probe))
            return;
        Fail(sequence, probe, refused: false);
        StartOverdue();
    }

    /// <summary>Drops all probes in flight: after a pause of this process their results mean nothing.</summary>
    public void Clear()
    {
        foreach (var probe in _probes.Values)
            _pool.Push(probe);
        _probes.Clear();
    }

    /// <summary>Every other probe goes to the successor on the ring, which bounds the detection time; shuffled rounds cover a failed predecessor.</summary>
    private MemberRecord? NextTarget()
    {
        if (state.Table.Live.Count == 0)
            return null;
        if (state.Rules.PickProbeTarget(state) is { } picked)
            return picked;
        _ringNext = state.Options.RingProbes && !_ringNext;
        return _ringNext ? state.Table.Successor() : state.Table.NextInRound(state.Random);
    }

    private void StartNext()
    {
        if (NextTarget() is { } target)
            Start(target, connectAtOnce: false);
    }

    /// <summary>Starts the probe that waited for the previous one, which slows down the probes of an unhealthy member as in Lifeguard.</summary>
    private void StartOverdue()
    {
        if (_overdue)
            StartNext();
        _overdue = false;
    }

    private void SetDirectEnd(uint sequence, Probe probe) =>
        state.Timers.Set(probe.Started + state.Health.Scale(state.Options.DirectTimeout), TimerKind.ProbeDirectEnd, sequence);

    private void Fail(uint sequence, Probe probe, bool refused)
    {
        var target = probe.Target;
        var sameGeneration = target.Generation == probe.Generation;
        var heardOthers = state.HeardAt >= probe.Started || state.Table.Live.Count == 1;
        var inContact = probe.InContact && heardOthers;
        var points = probe.Helpers > 0 ? probe.SilentHelpers.Count : 1;
        End(sequence, probe);
        if (!sameGeneration || !target.IsLive)
            return;
        if (refused)
        {
            suspicions.Accuse(target, state.Self.Id, refused: true);
            return;
        }
        state.Health.Worsen(points);
        flapDamper.OnProbeFailed(target, inContact);
        target.EditDetails.FoundSilentAt = state.Now;
        if (MayAccuse(heardOthers))
            suspicions.Accuse(target, state.Self.Id, refused: false);
    }

    /// <summary>
    /// A member that heard no other member is probably isolated and waits a whole window. An unhealthy member accuses rarely, a withdrawn one never.
    /// </summary>
    private bool MayAccuse(bool heardOthers)
    {
        if (!state.Rules.Corroboration)
            return true;
        var isolated = !heardOthers && state.Now - state.HeardAt < state.Options.SuspicionMin;
        if (isolated || flapDamper.IsWithdrawn || state.Now < state.ListenUntil || state.Now < _mayAccuseAt)
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
        _pool.Push(probe);
    }

    /// <summary>One probe in flight; pooled.</summary>
    private sealed class Probe
    {
        public MemberRecord Target = null!;
        public ulong Generation;
        public TimeSpan Started;

        /// <summary>Other members were heard shortly before the probe.</summary>
        public bool InContact;
        public int Helpers;
        public bool TcpEnded;
        public TimeSpan TcpStarted;

        /// <summary>Its host refused the connection; the answer to the ping may be on its way.</summary>
        public bool Refused;

        /// <summary>Helpers that sent neither ack nor nack: a sign that this member itself does not receive.</summary>
        public readonly HashSet<ulong> SilentHelpers = [];

        public bool AllHelpersDenied => Helpers > 0 && SilentHelpers.Count == 0;

        public void Begin(MemberRecord target, TimeSpan now, bool inContact)
        {
            (Target, Generation, Started, InContact, Helpers, TcpEnded, Refused) = (target, target.Generation, now, inContact, 0, true, false);
            SilentHelpers.Clear();
        }
    }
}

/// <summary>Probes on behalf of other members. Each one is an entry with a deadline; the requester gets an ack or a nack.</summary>
internal sealed class IndirectProbes(CoreState state, PacketWriter packets, Prober prober)
{
    private readonly Dictionary<uint, IndirectProbe> _probes = [];

    /// <summary>Concurrent requests. Further ones are dropped, which the requester notices as a missing nack.</summary>
    private const int MaxProbes = 256;

    public void OnRequest(PeerAddress requester, uint requestersSequence, ulong target, PeerAddress targetAddress)
    {
        if (_probes.Count >= MaxProbes || target == 0 || targetAddress.IsNone)
            return;
        var sequence = prober.NextSequence();
        if (!_probes.TryAdd(sequence, new IndirectProbe(requester, requestersSequence, target)))
            return;
        state.Timers.Set(state.Now + state.Options.IndirectTimeout * 0.75, TimerKind.IndirectProbeEnd, sequence);
        if (state.Table.Find(target) is { IsLive: true } record && record != state.Self)
            packets.Ping(record.Address, sequence, record);
        else
            packets.BarePing(targetAddress, sequence, target);
    }

    public void OnAck(uint sequence, ulong sender)
    {
        if (!_probes.TryGetValue(sequence, out var probe) || probe.Target != sender)
            return;
        _probes.Remove(sequence);
        packets.Send(PacketKind.Ack, probe.Requester, probe.RequestersSequence, probe.Target);
    }

    public void OnEnd(uint sequence)
    {
        if (!_probes.Remove(sequence, out var probe))
            return;
        if (state.Rules.LocalHealth)
            packets.Send(PacketKind.Nack, probe.Requester, probe.RequestersSequence, probe.Target);
        if (state.Table.Find(probe.Target) is { } record)
            record.EditDetails.FoundSilentAt = state.Now;
    }

    private readonly record struct IndirectProbe(PeerAddress Requester, uint RequestersSequence, ulong Target);
}

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
