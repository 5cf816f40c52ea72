using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// One member as a state machine. Inputs are packets, timers and commands, each with the current time; outputs are <see cref="ICoreEffects"/>.
/// It has no clock, socket, lock or thread: one loop drives it, in production and in the simulator.
/// </summary>
internal sealed partial class MembershipCore
{
    private readonly CoreState _state;
    private readonly PacketSeal _seal;
    private readonly AmplificationLimit _amplificationLimit = new();
    private readonly PacketWriter _packets;
    private readonly Broadcaster _broadcaster;
    private readonly SuspicionManager _suspicions;
    private readonly UpdateApplier _updateApplier;
    private readonly Prober _prober;
    private readonly IndirectProbes _indirectProbes;
    private readonly NameCheck _nameCheck;
    private readonly SeedBootstrap _seedBootstrap;
    private readonly AntiEntropy _antiEntropy;
    private readonly LoadReporter _loadReporter;
    private readonly ConnectionMonitor _connectionMonitor;
    private readonly FlapDamper _flapDamper;
    private readonly byte[] _reply = new byte[WireLimits.Datagram];
    private PeerAddress _from;
    private ulong _digest;

    private static readonly TimeSpan HousekeepingInterval = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan LeaveLinger = TimeSpan.FromMilliseconds(200);

    public MembershipCore(CoreSettings settings, ulong seed, ICoreEffects effects)
    {
        var facts = new MemberFacts(settings.Name, settings.Generation, settings.Address) { MetadataSequence = 1, Metadata = settings.Metadata };
        var self = new MemberRecord(facts) { State = MemberState.Alive };
        _state = new CoreState(settings, new MemberTable(settings.Options, self), seed, effects);
        _seal = new PacketSeal(PacketHeader.ClusterOf(settings.Cluster), self.Id, settings.Keys);
        _packets = new PacketWriter(_state, _seal, _amplificationLimit);
        _broadcaster = new Broadcaster(_state, _packets);
        _suspicions = new SuspicionManager(_state, _broadcaster, Verify, Ping);
        _flapDamper = new FlapDamper(_state, _suspicions);
        _prober = new Prober(_state, _packets, _suspicions, _flapDamper);
        _indirectProbes = new IndirectProbes(_state, _packets, _prober);
        _antiEntropy = new AntiEntropy(_state, _packets);
        _updateApplier = new UpdateApplier(_state, _suspicions, _broadcaster, _flapDamper, id => _antiEntropy.Want(_from, id));
        _nameCheck = new NameCheck(_state, _packets, _broadcaster, OnActivated);
        _seedBootstrap = new SeedBootstrap(_state, _packets, _nameCheck, settings.Seeds);
        _loadReporter = new LoadReporter(_state, _packets, _broadcaster);
        _connectionMonitor = new ConnectionMonitor(_state, _packets, _prober);
    }

    public MemberTable Table => _state.Table;

    public CorePhase Phase => _state.Phase;

    /// <summary>Score of <see cref="LocalHealth"/>: 0 is healthy.</summary>
    public int Health => _state.Health.Score;

    public int PendingTimers => _state.Timers.Count;

    public int ProbesInFlight => _prober.InFlight;

    public IEnumerable<SeedStatus> Seeds => _seedBootstrap.Seeds;

    /// <summary>Why the last packet was dropped; <see cref="DropCause.None"/> if it was accepted.</summary>
    public DropCause LastDrop { get; private set; }

    public TimeSpan NextDue => _state.Timers.NextDue;

    /// <summary>Delays due timers until the returned time. Only a simulation of blocking senders sets it.</summary>
    public Func<TimerKind, TimeSpan>? DelayTimer { get; set; }

    public void Start(TimeSpan now)
    {
        _state.Now = now;
        _seedBootstrap.Start();
    }

    public void Advance(TimeSpan now)
    {
        if (now > _state.Timers.NextDue)
            _state.Health.RecordDelay(now - _state.Timers.NextDue, now);
        DetectPause(now);
        _state.Now = now;
        while (_state.Timers.TryTake(now, out var kind, out var key))
        {
            if (DelayTimer?.Invoke(kind) is { } until && now < until)
                _state.Timers.Set(until, kind, key);
            else if (_state.Phase != CorePhase.Ended)
                TimerHandlers[kind](this, key);
        }
        OnInputHandled();
    }

    /// <summary>A datagram arrived. Foreign and malformed datagrams change nothing. Returns whether it was accepted.</summary>
    public bool Receive(PeerAddress from, ReadOnlySpan<byte> datagram, TimeSpan now)
    {
        _state.Now = now;
        if (!TryOpen(datagram, WireLimits.Datagram, out var header, out var body))
            return false;
        if (!_seal.ProvesSenders && !IsAtKnownAddress(from, header))
            _amplificationLimit.Begin(from, datagram.Length);
        Handle(from, header, body);
        _amplificationLimit.End();
        OnInputHandled();
        return true;
    }

    /// <summary>Returns the reply to a TCP request, valid until the next input. After a ping the peer may keep the connection.</summary>
    public ReadOnlySpan<byte> Serve(PeerAddress from, ReadOnlySpan<byte> request, TimeSpan now, out bool mayStay)
    {
        mayStay = false;
        _state.Now = now;
        if (!TryOpen(request, WireLimits.Stream, out var header, out var body))
            return _seal.Refuse(LastDrop, _reply, _state.Self.Generation);
        _from = from;
        FindSender(header);
        switch (body.Kind)
        {
            case PacketKind.Ping when body.Target == _state.Self.Id && _state.Phase != CorePhase.Observing:
                mayStay = true;
                return _packets.Compose(_reply, PacketKind.Ack, body.Sequence);
            case PacketKind.PushPull:
                Merge(body, UpdateSource.AntiEntropy);
                OnInputHandled();
                return _packets.FullState(PacketKind.State);
            case PacketKind.Pull:
                return _packets.FullState(PacketKind.State);
            default:
                return default;
        }
    }

    public void ExchangeEnded(ExchangeToken token, ExchangeOutcome outcome, PeerAddress peer, ReadOnlySpan<byte> reply, TimeSpan now)
    {
        _state.Now = now;
        PacketHeader header = default;
        PacketBody body = default;
        if (outcome == ExchangeOutcome.Replied && !TryOpen(reply, WireLimits.Stream, out header, out body))
            outcome = ExchangeOutcome.Unreadable;
        if (outcome == ExchangeOutcome.Replied)
            Handle(peer, header, body);
        if (_state.Phase == CorePhase.Ended)
            return;
        switch (token.Purpose)
        {
            case ExchangePurpose.Probe:
                _prober.OnExchangeEnded((uint)token.Key, outcome);
                break;
            case ExchangePurpose.Seed when outcome == ExchangeOutcome.Replied:
                _seedBootstrap.OnReplied(token.Key);
                break;
            case ExchangePurpose.Seed:
                _seedBootstrap.OnFailed(token.Key, outcome, outcome == ExchangeOutcome.Unreadable ? _seal.Explain(LastDrop, reply) : null);
                break;
            case ExchangePurpose.NameCheck:
                _nameCheck.OnExchangeEnded(outcome);
                break;
        }
        OnInputHandled();
    }

    public void ConnectionEnded(int slot, PeerAddress peer, TimeSpan now)
    {
        _state.Now = now;
        _connectionMonitor.OnEnded(slot, peer);
        OnInputHandled();
    }

    public void SeedResolved(int seed, PeerAddress? address, TimeSpan now, string problem = "its name does not resolve")
    {
        _state.Now = now;
        if (_state.Phase != CorePhase.Ended)
            _seedBootstrap.OnResolved(seed, address, problem);
    }

    /// <summary>Replaces this member's metadata; at most 512 bytes.</summary>
    public void UpdateMetadata(byte[] metadata, TimeSpan now)
    {
        _state.Now = now;
        _state.Table.Change(_state.Self, metadata, static (self, bytes) =>
            self.Facts = self.Facts with { MetadataSequence = self.MetadataSequence + 1, Metadata = bytes });
        _broadcaster.Broadcast(_state.Self, UpdateParts.Metadata);
        OnInputHandled();
    }

    public void UpdateLoad(uint inFlight, uint queued, TimeSpan now)
    {
        _state.Now = now;
        _loadReporter.Update(inFlight, queued);
    }

    public void SetBeaconReceivers(ulong[] receivers, TimeSpan now)
    {
        _state.Now = now;
        _loadReporter.SetReceivers(receivers);
    }

    public void RecordDelay(TimeSpan delay, TimeSpan now) => _state.Health.RecordDelay(delay, now);

    public void UseKeys(GossipKeys keys) => _seal.Use(keys);

    public void ProbeNow(ulong id, TimeSpan now)
    {
        _state.Now = now;
        if (_state.Phase == CorePhase.Active && _state.Table.Find(id) is { } record && record != _state.Self)
            _prober.Start(record, connectAtOnce: true);
    }

    public void Synchronize(PeerAddress peer, TimeSpan now)
    {
        _state.Now = now;
        _antiEntropy.Exchange(peer);
    }

    /// <summary>Announces that this member leaves. <see cref="CoreEvent.LeaveAnnounced"/> reports the end of the announcement.</summary>
    public void Leave(TimeSpan now)
    {
        _state.Now = now;
        if (_state.Phase is CorePhase.Leaving or CorePhase.Ended)
            return;
        var linger = _state.Phase == CorePhase.Active && _state.Table.Live.Count > 0 ? LeaveLinger : TimeSpan.Zero;
        _state.Phase = CorePhase.Leaving;
        _state.Table.Change(_state.Self, MemberState.Left, static (self, left) => self.State = left);
        _broadcaster.Broadcast(_state.Self, UpdateParts.State);
        _state.Timers.Set(now + linger, TimerKind.LeaveEnd);
    }

    private void OnActivated()
    {
        _state.Timers.Set(_state.Now + _state.Rules.FirstProbeDelay(_state), TimerKind.Probe);
        SetDeadContact();
        _state.Rules.OnActivated(_state);
        SetHousekeeping();
    }

    private void EndLeave()
    {
        _state.Phase = CorePhase.Ended;
        _state.Effects.Report(CoreEvent.LeaveAnnounced, _state.Self);
    }

    private void Purge()
    {
        _state.Table.PurgeTombstones(_state.Now);
        SetHousekeeping();
    }

    /// <summary>Housekeeping runs at least ten times in the lifetime of a tombstone.</summary>
    private void SetHousekeeping()
    {
        var tenth = _state.Options.TombstoneLifetime / 10;
        _state.Timers.Set(_state.Now + (tenth < HousekeepingInterval ? tenth : HousekeepingInterval), TimerKind.Housekeeping);
    }
}
