using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>Who handles which timer and which packet.</summary>
internal sealed partial class MembershipCore
{
    private void Fire(TimerKind kind, ulong key)
    {
        switch (kind)
        {
            case TimerKind.Probe:
                _prober.OnPeriod();
                break;
            case TimerKind.ProbeRefusalCheck:
                _prober.OnRefusalCheck((uint)key);
                break;
            case TimerKind.ProbeDirectEnd:
                _prober.OnDirectEnd((uint)key);
                break;
            case TimerKind.ProbeIndirectEnd:
                _prober.OnIndirectEnd((uint)key);
                break;
            case TimerKind.RelayEnd:
                _indirectProbes.OnEnd((uint)key);
                break;
            case TimerKind.Suspicion:
                _suspicionManager.OnSuspicionTimer(key);
                break;
            case TimerKind.Gossip:
                _broadcaster.OnTimer();
                break;
            case TimerKind.Seed:
                _seedBootstrap.OnTimer((int)key);
                break;
            case TimerKind.SeedHedge:
                _seedBootstrap.OnHedgeTimer();
                break;
            case TimerKind.NameCheckEnd:
                _nameCheck.OnTimer((int)key);
                break;
            case TimerKind.AntiEntropy:
                _antiEntropy.OnAntiEntropy();
                break;
            case TimerKind.DeadContact:
                ContactDead();
                break;
            case TimerKind.Load:
                _load.OnTimer();
                break;
            case TimerKind.Beacon:
                _beacons.OnTimer();
                break;
            case TimerKind.Watch:
                _connectionMonitor.OnTimer();
                break;
            case TimerKind.FlapDamper:
                _flapDamper.OnTimer();
                break;
            case TimerKind.Housekeeping:
                _state.Table.ForgetGone(_state.Now);
                SetHousekeeping();
                break;
            case TimerKind.LeaveEnd:
                _state.Phase = CorePhase.Over;
                _state.Effects.Report(CoreEvent.Goodbye, _state.Self);
                break;
        }
    }

    private bool IsHeldBack(TimerKind kind) =>
        _state.Variant.BlockingSends && _state.Now < _state.SendsFrom && kind is not (TimerKind.Probe or TimerKind.Suspicion or TimerKind.Housekeeping);

    private bool TryOpen(ReadOnlySpan<byte> packet, int most, out PacketHeader header, out PacketBody body)
    {
        header = default;
        body = default;
        ReadOnlySpan<byte> bytes = default;
        LastDrop = packet.Length > most ? DropCause.Oversized : _seal.Open(packet, out header, out bytes);
        if (LastDrop == DropCause.None && !PacketBody.TryRead(bytes, out body))
            LastDrop = DropCause.Malformed;
        return LastDrop == DropCause.None && _state.Phase != CorePhase.Over;
    }

    private void Handle(PeerAddress from, in PacketHeader header, in PacketBody body)
    {
        _from = from;
        var sender = NoteSender(header);
        switch (body.Kind)
        {
            case PacketKind.Ping when body.Target == _state.Self.Id && _state.Phase != CorePhase.Observing:
                Merge(body, ClaimSource.Rumour);
                _packetWriter.Ack(from, body.Sequence, sender);
                GetToKnow(from, header);
                return;
            case PacketKind.Ping when _state.Phase != CorePhase.Observing:
                _packetWriter.Correct(from, _state.Self, sender);
                return;
            case PacketKind.Ack:
                OnAck(from, header, body);
                return;
            case PacketKind.PingRequest or PacketKind.Compare or PacketKind.Versions when _strangers.Applies:
                GetToKnow(from, header);
                break;
            case PacketKind.Want when _strangers.Applies:
                IntroduceSelf(from, header);
                break;
            case PacketKind.PingRequest:
                _indirectProbes.OnRequest(from, body.Sequence, body.Target, body.TargetAddress);
                break;
            case PacketKind.Nack:
                _prober.OnNack(body.Sequence, header.Sender, body.Target);
                break;
            case PacketKind.Beacon:
                _beacons.OnReceived(sender, body);
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
        Merge(body, body.Kind == PacketKind.State ? ClaimSource.Comparison : ClaimSource.Rumour);
        Correct(from, header, sender);
    }

    private void OnAck(PeerAddress from, in PacketHeader header, in PacketBody body)
    {
        if (_nameCheck.OnAck(body.Sequence, header.Sender, header.Generation))
            return;
        var direct = body.Target == 0;
        var ours = _prober.OnAck(body.Sequence, direct ? header.Sender : body.Target, direct ? header.Generation : null);
        if (!ours && direct)
            _indirectProbes.OnAck(body.Sequence, header.Sender);
        Merge(body, ClaimSource.Rumour);
        if (!_strangers.Applies)
            _antiEntropy.OnDigest(from, body.Digest);
    }

    /// <summary>A life that is not known yet is asked who it is, unless it has just said so.</summary>
    private void GetToKnow(PeerAddress from, in PacketHeader header)
    {
        if (_state.Table.Find(header.Sender) is not { } record || record.Generation != header.Generation)
            _antiEntropy.Want(from, header.Sender);
    }

    /// <summary>
    /// Who asks is not asked back: two lives that do not know each other would do so for ever. The new life of a known name is told who we
    /// are, rarely; others hear of us from whom they ask to join.
    /// </summary>
    private void IntroduceSelf(PeerAddress from, in PacketHeader header)
    {
        if (_state.Phase == CorePhase.Active && _state.Table.Find(header.Sender) is { } record && record.Generation < header.Generation)
            _packetWriter.Correct(from, _state.Self, record);
    }

    /// <summary>A known life, at its own address.</summary>
    private bool IsAtHome(PeerAddress from, in PacketHeader header) =>
        _state.Table.Find(header.Sender) is { } record && record.Generation == header.Generation && record.Address == from;

    /// <summary>Everything a packet claims; during the name check only what concerns our own name is kept apart.</summary>
    private void Merge(in PacketBody body, ClaimSource source)
    {
        var updates = body.Items(PacketBody.UpdatesField);
        while (_state.Phase != CorePhase.Over && updates.TryNext(out var bytes))
        {
            _ = MemberUpdate.TryRead(bytes, out var update);
            if (_state.Phase == CorePhase.Observing && update.Id == _state.Self.Id)
                _nameCheck.Hear(update);
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

    /// <summary>A sender that we hold for dead, or an old life: it is told, rarely.</summary>
    private void Correct(PeerAddress from, in PacketHeader header, MemberRecord? sender)
    {
        var record = sender ?? _state.Table.Find(header.Sender);
        var stale = _state.Variant.AntiEntropy && record is not null && (header.Generation < record.Generation || !record.IsLive);
        if (stale && record != _state.Self && _state.Phase == CorePhase.Active)
            _packetWriter.Correct(from, record!, record);
    }

    private MemberRecord? NoteSender(in PacketHeader header)
    {
        if (_state.Table.Find(header.Sender) is not { } record || record.Generation != header.Generation)
            return null;
        if (record == _state.Self)
            return null;
        if (_state.Now - _state.HeardAt > _state.Deafness)
            _state.DeafUntil = _state.Now;
        _state.HeardAt = _state.Now;
        record.FoundSilentAt = null;
        return record;
    }

    private void Verify(MemberRecord record, bool refused)
    {
        var verifiers = _state.Options.Confirmations + 3;
        if (_state.Phase == CorePhase.Active && _state.Variant.Caution && _state.Random.Next(Math.Max(1, _state.Table.Live.Count - 1)) < verifiers)
            _prober.Start(record, askTcpAtOnce: refused);
    }

    private void Ask(MemberRecord record) => _packetWriter.Ping(record.Address, _prober.NextSequence(), record);

    private void ContactDead()
    {
        SetDeadContact();
        if (_state.Table.PickDead(_state.Random) is { } dead)
            Ask(dead);
    }

    private void SetDeadContact() =>
        _state.Timers.Set(_state.Now + _state.Options.DeadContactInterval / 2 + _state.Random.Next(_state.Options.DeadContactInterval), TimerKind.DeadContact);

    /// <summary>Timers that are late by a period mean that this process stood still: it listens for a round before it accuses anybody.</summary>
    private void NoteStandstill(TimeSpan now)
    {
        var late = now - _state.Timers.NextDue;
        if (_state.Phase != CorePhase.Active || !_state.Variant.Caution || late < _state.Options.ProbePeriod)
            return;
        Enter(now);
        _state.ListenUntil = now + _state.Options.ProbePeriod;
        _state.Health.Worsen(1);
        _prober.Forget();
        _suspicionManager.Forgive(late);
        _state.Effects.Report(CoreEvent.WokeUp, _state.Self);
    }

    private void NoteDigest()
    {
        if (_state.Table.Digest == _digest)
            return;
        _digest = _state.Table.Digest;
        _state.DigestSince = _state.Now;
        _connectionMonitor.OnViewChanged();
        if (_state.Table.HasSurplus)
            _state.Table.ForgetGone(_state.Now);
    }

    private void Enter(TimeSpan now) => _state.Now = now;
}
