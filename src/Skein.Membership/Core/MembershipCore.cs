using Skein.Membership.Wire;

namespace Skein.Membership.Core;

/// <summary>
/// One member: a state machine that takes packets, timers and commands, each with the time, and answers with effects. It has no clock, no
/// socket, no lock and no thread: one loop feeds it, in production and in the simulator alike.
/// </summary>
internal sealed class MembershipCore
{
    private readonly CoreState _state;
    private readonly PacketSeal _seal;
    private readonly Outbox _outbox;
    private readonly Spreader _spreader;
    private readonly Judge _judge;
    private readonly Merger _merger;
    private readonly Prober _prober;
    private readonly Relays _relays;
    private readonly NameCheck _nameCheck;
    private readonly Joiner _joiner;
    private readonly Repair _repair;
    private readonly LoadReporter _load;
    private readonly Watcher _watcher;
    private readonly byte[] _reply = new byte[WireLimits.Datagram];
    private PeerAddress _from;

    public MembershipCore(CoreSettings settings, ulong seed, ICoreEffects effects)
    {
        var self = new MemberRecord(PacketHeader.MemberOf(settings.Name), settings.Name)
        {
            Generation = settings.Generation,
            State = MemberState.Alive,
            Address = settings.Address,
            MetadataSequence = 1,
            Metadata = settings.Metadata,
        };
        var table = new MemberTable(settings.Options, self);
        _state = new CoreState(settings, table, seed, effects);
        _seal = new PacketSeal(PacketHeader.ClusterOf(settings.Cluster), self.Id, settings.Keys);
        _outbox = new Outbox(_state, _seal);
        _spreader = new Spreader(_state, _outbox);
        _judge = new Judge(_state, _spreader) { Verify = Verify, Ask = Ask };
        _prober = new Prober(_state, _outbox, _judge);
        _relays = new Relays(_state, _outbox, _prober);
        _repair = new Repair(_state, _outbox);
        _merger = new Merger(_state, _judge, _spreader) { AskFor = id => _repair.Want(_from, id) };
        _nameCheck = new NameCheck(_state, _outbox, _spreader, Begin);
        _joiner = new Joiner(_state, _outbox, _nameCheck, settings.Seeds);
        _load = new LoadReporter(_state, _spreader);
        _watcher = new Watcher(_state, _outbox, _prober);
    }

    public MemberTable Table => _state.Table;

    public CorePhase Phase => _state.Phase;

    public int Health => _state.Health.Score;

    public int PendingTimers => _state.Timers.Count;

    public int ProbesInFlight => _prober.InFlight;

    public IEnumerable<SeedStatus> Seeds => _joiner.Seeds;

    /// <summary>When <see cref="Advance"/> wants to be called next, at the latest.</summary>
    public TimeSpan NextDue => _state.Timers.NextDue;

    /// <summary>First call of all.</summary>
    public void Start(TimeSpan now)
    {
        Enter(now);
        _joiner.Start();
    }

    /// <summary>Fires what is due.</summary>
    public void Advance(TimeSpan now)
    {
        NoteStandstill(now);
        Enter(now);
        while (_state.Timers.TryTake(now, out TimerKind kind, out ulong key))
            if (_state.Phase != CorePhase.Over)
                Fire(kind, key);
        NoteDigest();
    }

    /// <summary>A datagram came. What is foreign or malformed changes nothing; the answer says whether it was ours.</summary>
    public bool Receive(PeerAddress from, ReadOnlySpan<byte> datagram, TimeSpan now)
    {
        Enter(now);
        if (datagram.Length > WireLimits.Datagram || !TryOpen(datagram, out PacketHeader header, out PacketBody body))
            return false;
        Handle(from, header, body);
        NoteDigest();
        return true;
    }

    /// <summary>A TCP request came. Answers the reply; empty where there is none to give. Valid until the next input.</summary>
    public ReadOnlySpan<byte> Serve(PeerAddress from, ReadOnlySpan<byte> request, TimeSpan now)
    {
        Enter(now);
        if (request.Length > WireLimits.Stream || !TryOpen(request, out PacketHeader header, out PacketBody body))
            return default;
        _from = from;
        NoteSender(header);
        switch (body.Kind)
        {
            case PacketKind.Ping when body.Target == _state.Self.Id:
                return _outbox.StreamAck(_reply, body.Sequence);
            case PacketKind.PushPull:
                Merge(body, ClaimSource.Comparison);
                NoteDigest();
                return _outbox.FullState(PacketKind.State);
            case PacketKind.Pull:
                return _outbox.FullState(PacketKind.State);
            default:
                return default;
        }
    }

    /// <summary>An exchange that this core asked for has ended.</summary>
    public void ExchangeEnded(ExchangeToken token, ExchangeOutcome outcome, PeerAddress peer, ReadOnlySpan<byte> reply, TimeSpan now)
    {
        Enter(now);
        PacketHeader header = default;
        PacketBody body = default;
        if (outcome == ExchangeOutcome.Replied && (reply.Length > WireLimits.Stream || !TryOpen(reply, out header, out body)))
            outcome = ExchangeOutcome.Failed;
        if (outcome == ExchangeOutcome.Replied)
            Handle(peer, header, body);
        if (_state.Phase == CorePhase.Over)
            return;
        switch (token.Purpose)
        {
            case ExchangePurpose.Probe:
                _prober.OnExchangeEnded((uint)token.Key, outcome);
                break;
            case ExchangePurpose.Seed when outcome == ExchangeOutcome.Replied:
                _joiner.OnReplied((int)token.Key);
                break;
            case ExchangePurpose.Seed:
                _joiner.OnFailed((int)token.Key, outcome);
                break;
            case ExchangePurpose.NameCheck:
                _nameCheck.OnExchangeEnded(outcome);
                break;
        }
        NoteDigest();
    }

    /// <summary>A watched connection could not be made, or broke.</summary>
    public void WatchEnded(int slot, PeerAddress peer, TimeSpan now)
    {
        Enter(now);
        _watcher.OnEnded(slot, peer);
        NoteDigest();
    }

    /// <summary>A seed's name was looked up; null where that failed.</summary>
    public void SeedResolved(int seed, PeerAddress? address, TimeSpan now)
    {
        Enter(now);
        if (_state.Phase != CorePhase.Over)
            _joiner.OnResolved(seed, address);
    }

    /// <summary>Replaces this member's metadata; at most 512 bytes.</summary>
    public void UpdateMetadata(byte[] metadata, TimeSpan now)
    {
        Enter(now);
        _state.Table.Change(_state.Self, metadata, static (self, bytes) =>
        {
            self.Metadata = bytes;
            self.MetadataSequence++;
        });
        _spreader.Tell(_state.Self, UpdateParts.Metadata);
        NoteDigest();
    }

    public void UpdateLoad(uint inFlight, uint queued, TimeSpan now)
    {
        Enter(now);
        _load.Update(inFlight, queued);
    }

    /// <summary>Replaces the keys; the first one seals from now on.</summary>
    public void UseKeys(GossipKeys keys) => _seal.Use(keys);

    /// <summary>Somebody has reason to doubt that member: it is probed at once, over UDP and TCP.</summary>
    public void ProbeNow(ulong id, TimeSpan now)
    {
        Enter(now);
        if (_state.Phase == CorePhase.Active && _state.Table.Find(id) is { } record && record != _state.Self)
            _prober.Start(record, askTcpAtOnce: true);
    }

    /// <summary>Exchanges full state with that peer now.</summary>
    public void Synchronize(PeerAddress peer, TimeSpan now)
    {
        Enter(now);
        _repair.Exchange(peer);
    }

    /// <summary>Says goodbye; <see cref="CoreEvent.Goodbye"/> tells when that was said often enough.</summary>
    public void Leave(TimeSpan now)
    {
        Enter(now);
        if (_state.Phase is CorePhase.Leaving or CorePhase.Over)
            return;
        bool known = _state.Phase == CorePhase.Active && _state.Table.Live.Count > 0;
        _state.Phase = CorePhase.Leaving;
        _state.Table.Change(_state.Self, static self => self.State = MemberState.Left);
        _spreader.Tell(_state.Self, UpdateParts.State);
        _state.Timers.Set(now + (known ? _state.Options.LeaveLinger : TimeSpan.Zero), TimerKind.LeaveEnd);
    }

    private void Begin()
    {
        TimeSpan period = _state.Options.ProbePeriod;
        TimeSpan phase = _state.Variant.CommonPeriods ? TimeSpan.FromTicks(period.Ticks - _state.Now.Ticks % period.Ticks) : _state.Random.Next(period);
        _state.Timers.Set(_state.Now + phase, TimerKind.Probe);
        SetDeadContact();
        if (!_state.Variant.Repair)
            _state.Timers.Set(_state.Now + _state.Random.Next(TimeSpan.FromSeconds(30)), TimerKind.AntiEntropy);
        _state.Timers.Set(_state.Now + HousekeepingInterval, TimerKind.Housekeeping);
    }

    private static readonly TimeSpan HousekeepingInterval = TimeSpan.FromMinutes(1);

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
                _relays.OnEnd((uint)key);
                break;
            case TimerKind.Suspicion:
                _judge.OnSuspicionTimer(key);
                break;
            case TimerKind.Gossip:
                _spreader.OnTimer();
                break;
            case TimerKind.Seed:
                _joiner.OnTimer((int)key);
                break;
            case TimerKind.NameCheckEnd:
                _nameCheck.OnTimer((int)key);
                break;
            case TimerKind.AntiEntropy:
                _repair.OnAntiEntropy();
                break;
            case TimerKind.DeadContact:
                ContactDead();
                break;
            case TimerKind.Load:
                _load.OnTimer();
                break;
            case TimerKind.Watch:
                _watcher.OnTimer();
                break;
            case TimerKind.Housekeeping:
                _state.Table.ForgetGone(_state.Now);
                _state.Timers.Set(_state.Now + HousekeepingInterval, TimerKind.Housekeeping);
                break;
            case TimerKind.LeaveEnd:
                _state.Phase = CorePhase.Over;
                _state.Effects.Report(CoreEvent.Goodbye, _state.Self);
                break;
        }
    }

    private bool TryOpen(ReadOnlySpan<byte> packet, out PacketHeader header, out PacketBody body)
    {
        body = default;
        return _seal.TryOpen(packet, out header, out ReadOnlySpan<byte> bytes)
            && PacketBody.TryRead(bytes, out body)
            && _state.Phase != CorePhase.Over;
    }

    private void Handle(PeerAddress from, in PacketHeader header, in PacketBody body)
    {
        _from = from;
        MemberRecord? sender = NoteSender(header);
        switch (body.Kind)
        {
            case PacketKind.Ping when body.Target == _state.Self.Id && _state.Phase != CorePhase.Observing:
                Merge(body, ClaimSource.Rumour);
                _outbox.Ack(from, body.Sequence, sender);
                if (sender is null)
                    _repair.Want(from, header.Sender);
                return;
            case PacketKind.Ping when _state.Phase != CorePhase.Observing:
                _outbox.Correct(from, _state.Self, sender);
                return;
            case PacketKind.Ack:
                OnAck(from, header, body);
                return;
            case PacketKind.PingRequest:
                _relays.OnRequest(from, body.Sequence, body.Target, body.TargetAddress);
                break;
            case PacketKind.Nack:
                _prober.OnNack(body.Sequence, header.Sender, body.Target);
                break;
            case PacketKind.Compare:
                _repair.OnCompare(from, body.BucketDigests);
                break;
            case PacketKind.Versions:
                _repair.OnVersions(from, body);
                break;
            case PacketKind.Want:
                _repair.OnWant(from, body.Wanted);
                break;
        }
        Merge(body, body.Kind == PacketKind.State ? ClaimSource.Comparison : ClaimSource.Rumour);
        Correct(from, header, sender);
    }

    private void OnAck(PeerAddress from, in PacketHeader header, in PacketBody body)
    {
        if (_nameCheck.OnAck(body.Sequence, header.Sender, header.Generation))
            return;
        bool direct = body.Target == 0;
        bool ours = _prober.OnAck(body.Sequence, direct ? header.Sender : body.Target, direct ? header.Generation : null);
        if (!ours && direct)
            _relays.OnAck(body.Sequence, header.Sender);
        Merge(body, ClaimSource.Rumour);
        _repair.OnDigest(from, body.Digest);
    }

    /// <summary>Everything a packet claims; during the name check only what concerns our own name is kept apart.</summary>
    private void Merge(in PacketBody body, ClaimSource source)
    {
        PacketBody.Nested updates = body.Items(PacketBody.UpdatesField);
        while (_state.Phase != CorePhase.Over && updates.TryNext(out ReadOnlySpan<byte> bytes))
        {
            _ = MemberUpdate.TryRead(bytes, out MemberUpdate update);
            if (_state.Phase == CorePhase.Observing && update.Id == _state.Self.Id)
                _nameCheck.Hear(update);
            else
                _merger.Apply(update, source);
        }
        PacketBody.Nested loads = body.Items(PacketBody.LoadsField);
        while (loads.TryNext(out ReadOnlySpan<byte> bytes))
        {
            _ = LoadUpdate.TryRead(bytes, out LoadUpdate load);
            _merger.Apply(load);
        }
    }

    /// <summary>A sender that we hold for dead, or an old life: it is told, rarely.</summary>
    private void Correct(PeerAddress from, in PacketHeader header, MemberRecord? sender)
    {
        MemberRecord? record = sender ?? _state.Table.Find(header.Sender);
        bool stale = record is not null && (header.Generation < record.Generation || !record.IsLive);
        if (stale && record != _state.Self && _state.Phase == CorePhase.Active)
            _outbox.Correct(from, record!, record);
    }

    private MemberRecord? NoteSender(in PacketHeader header)
    {
        if (_state.Table.Find(header.Sender) is not { } record || record.Generation != header.Generation)
            return null;
        if (record == _state.Self)
            return null;
        _state.HeardAt = _state.Now;
        record.FoundSilentAt = null;
        return record;
    }

    private void Verify(MemberRecord record, bool refused)
    {
        int verifiers = _state.Options.Confirmations + 3;
        if (_state.Phase == CorePhase.Active && _state.Variant.Caution && _state.Random.Next(Math.Max(1, _state.Table.Live.Count - 1)) < verifiers)
            _prober.Start(record, askTcpAtOnce: refused);
    }

    private void Ask(MemberRecord record) => _outbox.Ping(record.Address, _prober.NextSequence(), record);

    private void ContactDead()
    {
        SetDeadContact();
        IReadOnlyList<MemberRecord> gone = _state.Table.Gone;
        if (gone.Count > 0 && gone[_state.Random.Next(gone.Count)] is { State: MemberState.Dead } dead)
            Ask(dead);
    }

    private void SetDeadContact() =>
        _state.Timers.Set(_state.Now + _state.Options.DeadContactInterval / 2 + _state.Random.Next(_state.Options.DeadContactInterval), TimerKind.DeadContact);

    /// <summary>Timers that are late by a period mean that this process stood still: it listens for a round before it accuses anybody.</summary>
    private void NoteStandstill(TimeSpan now)
    {
        TimeSpan late = now - _state.Timers.NextDue;
        if (_state.Phase != CorePhase.Active || !_state.Variant.Caution || late < _state.Options.ProbePeriod)
            return;
        Enter(now);
        _state.ListenUntil = now + _state.Options.ProbePeriod;
        _state.Health.Worsen(1);
        _prober.Forget();
        _judge.Forgive(late);
        _state.Effects.Report(CoreEvent.WokeUp, _state.Self);
    }

    private void NoteDigest()
    {
        if (_state.Table.Digest == _digest)
            return;
        _digest = _state.Table.Digest;
        _state.DigestSince = _state.Now;
        _watcher.OnViewChanged();
    }

    private ulong _digest;

    private void Enter(TimeSpan now) => _state.Now = now;
}
