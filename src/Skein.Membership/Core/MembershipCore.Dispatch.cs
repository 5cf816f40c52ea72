using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>Dispatches timers and packets to the components.</summary>
internal sealed partial class MembershipCore
{
    private static readonly Dictionary<TimerKind, Action<MembershipCore, ulong>> TimerHandlers = new()
    {
        [TimerKind.Probe] = static (core, _) => core._prober.OnPeriod(),
        [TimerKind.ProbeRefusalCheck] = static (core, sequence) => core._prober.OnRefusalCheck((uint)sequence),
        [TimerKind.ProbeRefusalEnd] = static (core, sequence) => core._prober.OnRefusalEnd((uint)sequence),
        [TimerKind.ProbeDirectEnd] = static (core, sequence) => core._prober.OnDirectEnd((uint)sequence),
        [TimerKind.ProbeIndirectEnd] = static (core, sequence) => core._prober.OnIndirectEnd((uint)sequence),
        [TimerKind.IndirectProbeEnd] = static (core, sequence) => core._indirectProbes.OnEnd((uint)sequence),
        [TimerKind.Suspicion] = static (core, member) => core._suspicions.OnTimer(member),
        [TimerKind.Gossip] = static (core, _) => core._broadcaster.OnTimer(),
        [TimerKind.Seed] = static (core, index) => core._seedBootstrap.OnTimer((int)index),
        [TimerKind.SeedHedge] = static (core, _) => core._seedBootstrap.OnHedgeTimer(),
        [TimerKind.NameCheckEnd] = static (core, pingsLeft) => core._nameCheck.OnTimer((int)pingsLeft),
        [TimerKind.DeadContact] = static (core, _) => core.PingDead(),
        [TimerKind.Load] = static (core, _) => core._loadReporter.OnGossipTimer(),
        [TimerKind.Beacon] = static (core, _) => core._loadReporter.OnBeaconTimer(),
        [TimerKind.Monitor] = static (core, _) => core._connectionMonitor.OnTimer(),
        [TimerKind.FlapDamper] = static (core, _) => core._flapDamper.OnTimer(),
        [TimerKind.Housekeeping] = static (core, _) => core.Purge(),
        [TimerKind.LeaveEnd] = static (core, _) => core.EndLeave(),
        [TimerKind.Rules] = static (core, _) => core._state.Rules.OnTimer(core._state, core._antiEntropy),
    };

    private bool TryOpen(ReadOnlySpan<byte> packet, int maxLength, out PacketHeader header, out PacketBody body)
    {
        header = default;
        body = default;
        ReadOnlySpan<byte> bytes = default;
        LastDrop = packet.Length > maxLength ? DropCause.Oversized : _seal.Open(packet, out header, out bytes);
        if (LastDrop == DropCause.None && !PacketBody.TryRead(bytes, out body))
            LastDrop = DropCause.Malformed;
        return LastDrop == DropCause.None && _state.Phase != CorePhase.Ended;
    }

    private void Handle(PeerAddress from, in PacketHeader header, in PacketBody body)
    {
        _from = from;
        var sender = FindSender(header);
        switch (body.Kind)
        {
            case PacketKind.Ping when body.Target == _state.Self.Id && _state.Phase != CorePhase.Observing:
                Merge(body, UpdateSource.Gossip);
                _packets.Ack(from, body.Sequence, sender);
                RequestIntroduction(from, header);
                return;
            case PacketKind.Ping when _state.Phase != CorePhase.Observing:
                _packets.Correct(from, _state.Self, sender);
                return;
            case PacketKind.Ack:
                OnAck(from, header, body);
                return;
            case PacketKind.PingRequest or PacketKind.Compare or PacketKind.Versions when _amplificationLimit.Applies:
                RequestIntroduction(from, header);
                break;
            case PacketKind.Want when _amplificationLimit.Applies:
                IntroduceSelf(from, header);
                break;
            case PacketKind.PingRequest:
                _indirectProbes.OnRequest(from, body.Sequence, body.Target, body.TargetAddress);
                break;
            case PacketKind.Nack:
                _prober.OnNack(body.Sequence, header.Sender, body.Target);
                break;
            case PacketKind.Beacon:
                _loadReporter.OnBeacon(sender, body);
                return;
            case PacketKind.Compare:
                _antiEntropy.OnCompare(from, body.BucketDigests);
                break;
            case PacketKind.Versions:
                _antiEntropy.OnVersions(from, body);
                break;
            case PacketKind.Want:
                _antiEntropy.OnWant(from, body.Wanted);
                break;
        }
        Merge(body, body.Kind == PacketKind.State ? UpdateSource.AntiEntropy : UpdateSource.Gossip);
        CorrectStaleSender(from, header, sender);
    }

    private void OnAck(PeerAddress from, in PacketHeader header, in PacketBody body)
    {
        if (_nameCheck.OnAck(body.Sequence, header.Sender, header.Generation))
            return;
        var direct = body.Target == 0;
        var ours = _prober.OnAck(body.Sequence, direct ? header.Sender : body.Target, direct ? header.Generation : null);
        if (!ours && direct)
            _indirectProbes.OnAck(body.Sequence, header.Sender);
        Merge(body, UpdateSource.Gossip);
        if (!_amplificationLimit.Applies)
            _antiEntropy.OnDigest(from, body.Digest);
    }

    private void RequestIntroduction(PeerAddress from, in PacketHeader header)
    {
        if (_state.Table.Find(header.Sender) is not { } record || record.Generation != header.Generation)
            _antiEntropy.Want(from, header.Sender);
    }

    /// <summary>Sends this member's record to the new generation of a known name. Asking back would never end between members unknown to each other.</summary>
    private void IntroduceSelf(PeerAddress from, in PacketHeader header)
    {
        if (_state.Phase == CorePhase.Active && _state.Table.Find(header.Sender) is { } record && record.Generation < header.Generation)
            _packets.Correct(from, _state.Self, record);
    }

    private bool IsAtKnownAddress(PeerAddress from, in PacketHeader header) =>
        _state.Table.Find(header.Sender) is { } record && record.Generation == header.Generation && record.Address == from;

    /// <summary>Applies all updates of a packet. During the name check, updates about this member's name go to the check.</summary>
    private void Merge(in PacketBody body, UpdateSource source)
    {
        var updates = body.Items(PacketBody.UpdatesField);
        while (_state.Phase != CorePhase.Ended && updates.TryNext(out var bytes))
        {
            _ = MemberUpdate.TryRead(bytes, out var update);
            if (_state.Phase == CorePhase.Observing && update.Id == _state.Self.Id)
                _nameCheck.OnUpdate(update);
            else
                _updateApplier.Apply(update, source);
        }
        var loads = body.Items(PacketBody.LoadsField);
        while (loads.TryNext(out var bytes))
        {
            _ = LoadUpdate.TryRead(bytes, out var load);
            _updateApplier.Apply(load);
        }
    }

    /// <summary>Informs a sender that is dead in this view or superseded by a newer generation, at a limited rate.</summary>
    private void CorrectStaleSender(PeerAddress from, in PacketHeader header, MemberRecord? sender)
    {
        var record = sender ?? _state.Table.Find(header.Sender);
        var stale = _state.Rules.ComparesViews && record is not null && (header.Generation < record.Generation || !record.IsLive);
        if (stale && record != _state.Self && _state.Phase == CorePhase.Active)
            _packets.Correct(from, record!, record);
    }

    /// <summary>The record of the sender if its generation is known; notes that it was heard.</summary>
    private MemberRecord? FindSender(in PacketHeader header)
    {
        if (_state.Table.Find(header.Sender) is not { } record || record.Generation != header.Generation || record == _state.Self)
            return null;
        if (_state.Now - _state.HeardAt > _state.IsolationThreshold)
            _state.IsolatedUntil = _state.Now;
        _state.HeardAt = _state.Now;
        record.ClearFoundSilent();
        return record;
    }

    /// <summary>Probes an accused member with a probability that selects a few verifiers in the whole group.</summary>
    private void Verify(MemberRecord record, bool refused)
    {
        var verifiers = _state.Options.Confirmations + 3;
        var mayVerify = _state.Phase == CorePhase.Active && _state.Rules.Corroboration;
        if (mayVerify && _state.Random.Next(Math.Max(1, _state.Table.Live.Count - 1)) < verifiers)
            _prober.Start(record, connectAtOnce: refused);
    }

    private void Ping(MemberRecord record) => _packets.Ping(record.Address, _prober.NextSequence(), record);

    private void PingDead()
    {
        SetDeadContact();
        if (_state.Table.PickDead(_state.Random) is { } dead)
            Ping(dead);
    }

    private void SetDeadContact()
    {
        var interval = _state.Options.DeadContactInterval;
        _state.Timers.Set(_state.Now + interval / 2 + _state.Random.Next(interval), TimerKind.DeadContact);
    }

    /// <summary>A timer that is late by a probe period means that this process was paused: it listens for a period before it accuses others.</summary>
    private void DetectPause(TimeSpan now)
    {
        var late = now - _state.Timers.NextDue;
        if (_state.Phase != CorePhase.Active || !_state.Rules.Corroboration || late < _state.Options.ProbePeriod)
            return;
        _state.Now = now;
        _state.ListenUntil = now + _state.Options.ProbePeriod;
        _state.Health.Worsen(1);
        _prober.Clear();
        _suspicions.Extend(late);
        _state.Effects.Report(CoreEvent.Resumed, _state.Self);
    }

    private void OnInputHandled()
    {
        if (_state.Table.Digest == _digest)
            return;
        _digest = _state.Table.Digest;
        _state.DigestSince = _state.Now;
        _connectionMonitor.OnViewChanged();
        if (_state.Table.HasSurplus)
            _state.Table.PurgeTombstones(_state.Now);
    }
}
