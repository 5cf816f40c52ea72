using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// One member: a state machine that takes packets, timers and commands, each with the time, and answers with effects. It has no clock, no
/// socket, no lock and no thread: one loop feeds it, in production and in the simulator alike.
/// </summary>
internal sealed partial class MembershipCore
{
    private readonly CoreState _state;
    private readonly PacketSeal _seal;
    private readonly AmplificationLimit _strangers = new();
    private readonly bool _keysProveSenders;
    private readonly PacketWriter _packetWriter;
    private readonly Broadcaster _broadcaster;
    private readonly SuspicionManager _suspicionManager;
    private readonly UpdateApplier _updateApplier;
    private readonly Prober _prober;
    private readonly IndirectProbes _indirectProbes;
    private readonly NameCheck _nameCheck;
    private readonly SeedBootstrap _seedBootstrap;
    private readonly AntiEntropy _antiEntropy;
    private readonly LoadReporter _load;
    private readonly ConnectionMonitor _connectionMonitor;
    private readonly Beacons _beacons;
    private readonly FlapDamper _flapDamper;
    private readonly byte[] _reply = new byte[WireLimits.Datagram];
    private PeerAddress _from;
    private ulong _digest;

    public MembershipCore(CoreSettings settings, ulong seed, ICoreEffects effects)
    {
        var facts = new MemberFacts(settings.Name, settings.Generation, settings.Address) { MetadataSequence = 1, Metadata = settings.Metadata };
        var self = new MemberRecord(facts) { State = MemberState.Alive };
        var table = new MemberTable(settings.Options, self);
        _state = new CoreState(settings, table, seed, effects);
        _seal = new PacketSeal(PacketHeader.ClusterOf(settings.Cluster), self.Id, settings.Keys);
        _keysProveSenders = !settings.Keys.IsEmpty;
        _packetWriter = new PacketWriter(_state, _seal, _strangers);
        _broadcaster = new Broadcaster(_state, _packetWriter);
        _suspicionManager = new SuspicionManager(_state, _broadcaster) { Verify = Verify, Ask = Ask };
        _flapDamper = new FlapDamper(_state, _suspicionManager);
        _prober = new Prober(_state, _packetWriter, _suspicionManager, _flapDamper);
        _indirectProbes = new IndirectProbes(_state, _packetWriter, _prober);
        _antiEntropy = new AntiEntropy(_state, _packetWriter);
        _updateApplier = new UpdateApplier(_state, _suspicionManager, _broadcaster, _flapDamper) { AskFor = id => _antiEntropy.Want(_from, id) };
        _nameCheck = new NameCheck(_state, _packetWriter, _broadcaster, Begin);
        _seedBootstrap = new SeedBootstrap(_state, _packetWriter, _nameCheck, settings.Seeds);
        _load = new LoadReporter(_state, _broadcaster);
        _beacons = new Beacons(_state, _packetWriter);
        _connectionMonitor = new ConnectionMonitor(_state, _packetWriter, _prober);
    }

    public MemberTable Table => _state.Table;

    public CorePhase Phase => _state.Phase;

    public int Health => _state.Health.Score;

    public int PendingTimers => _state.Timers.Count;

    /// <summary>Why the last packet was dropped; none where it was taken.</summary>
    public DropCause LastDrop { get; private set; }

    public int ProbesInFlight => _prober.InFlight;

    public IEnumerable<SeedStatus> Seeds => _seedBootstrap.Seeds;

    /// <summary>When <see cref="Advance"/> wants to be called next, at the latest.</summary>
    public TimeSpan NextDue => _state.Timers.NextDue;

    /// <summary>First call of all.</summary>
    public void Start(TimeSpan now)
    {
        Enter(now);
        _seedBootstrap.Start();
    }

    /// <summary>A simulation blocks what this member sends; matters to <see cref="ProtocolVariant.BlockingSends"/> only.</summary>
    public void BlockSends(TimeSpan until) => _state.SendsFrom = until;

    /// <summary>Fires what is due.</summary>
    public void Advance(TimeSpan now)
    {
        if (now > _state.Timers.NextDue)
            _state.Health.NoteDelay(now - _state.Timers.NextDue, now);
        NoteStandstill(now);
        Enter(now);
        while (_state.Timers.TryTake(now, out var kind, out var key))
        {
            if (IsHeldBack(kind))
                _state.Timers.Set(_state.SendsFrom, kind, key);
            else if (_state.Phase != CorePhase.Over)
                Fire(kind, key);
        }
        NoteDigest();
    }

    /// <summary>A datagram came. What is foreign or malformed changes nothing; the answer says whether it was ours.</summary>
    public bool Receive(PeerAddress from, ReadOnlySpan<byte> datagram, TimeSpan now)
    {
        Enter(now);
        if (!TryOpen(datagram, WireLimits.Datagram, out var header, out var body))
            return false;
        if (!_keysProveSenders && !IsAtHome(from, header))
            _strangers.Begin(from, datagram.Length);
        Handle(from, header, body);
        _strangers.End();
        NoteDigest();
        return true;
    }

    /// <summary>
    /// A TCP request came. Answers the reply, valid until the next input; empty where there is none to give. One that <see cref="LastDrop"/>
    /// refused gets our header at the most.
    /// </summary>
    /// <param name="mayStay">A ping for this life: whoever sent it may keep the connection, to see us end.</param>
    public ReadOnlySpan<byte> Serve(PeerAddress from, ReadOnlySpan<byte> request, TimeSpan now, out bool mayStay)
    {
        mayStay = false;
        Enter(now);
        if (!TryOpen(request, WireLimits.Stream, out var header, out var body))
            return _seal.Refuse(LastDrop, _reply, _state.Self.Generation);
        _from = from;
        NoteSender(header);
        switch (body.Kind)
        {
            case PacketKind.Ping when body.Target == _state.Self.Id && _state.Phase != CorePhase.Observing:
                mayStay = true;
                return _packetWriter.StreamAck(_reply, body.Sequence);
            case PacketKind.PushPull:
                Merge(body, ClaimSource.Comparison);
                NoteDigest();
                return _packetWriter.FullState(PacketKind.State);
            case PacketKind.Pull:
                return _packetWriter.FullState(PacketKind.State);
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
        if (outcome == ExchangeOutcome.Replied && !TryOpen(reply, WireLimits.Stream, out header, out body))
            outcome = ExchangeOutcome.Unreadable;
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
                _seedBootstrap.OnReplied(token.Key);
                break;
            case ExchangePurpose.Seed:
                _seedBootstrap.OnFailed(token.Key, outcome, outcome == ExchangeOutcome.Unreadable ? _seal.Explain(LastDrop, reply) : SeedBootstrap.Explain(outcome));
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
        _connectionMonitor.OnEnded(slot, peer);
        NoteDigest();
    }

    /// <summary>A seed's name was looked up; null where that failed.</summary>
    public void SeedResolved(int seed, PeerAddress? address, TimeSpan now)
    {
        Enter(now);
        if (_state.Phase != CorePhase.Over)
            _seedBootstrap.OnResolved(seed, address);
    }

    /// <summary>Replaces this member's metadata; at most 512 bytes.</summary>
    public void UpdateMetadata(byte[] metadata, TimeSpan now)
    {
        Enter(now);
        _state.Table.Change(_state.Self, metadata, static (self, bytes) =>
            self.Facts = self.Facts with { MetadataSequence = self.MetadataSequence + 1, Metadata = bytes });
        _broadcaster.Tell(_state.Self, UpdateParts.Metadata);
        NoteDigest();
    }

    public void UpdateLoad(uint inFlight, uint queued, TimeSpan now)
    {
        Enter(now);
        _load.Update(inFlight, queued);
        _beacons.Update(inFlight, queued);
    }

    /// <summary>Who gets this member's beacons.</summary>
    public void SetBeaconReceivers(ulong[] receivers, TimeSpan now)
    {
        Enter(now);
        _beacons.SetReceivers(receivers);
    }

    /// <summary>Something in this process came late: it trusts itself less for a while.</summary>
    public void NoteDelay(TimeSpan delay, TimeSpan now) => _state.Health.NoteDelay(delay, now);

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
        _antiEntropy.Exchange(peer);
    }

    /// <summary>Says goodbye; <see cref="CoreEvent.Goodbye"/> tells when that was said often enough.</summary>
    public void Leave(TimeSpan now)
    {
        Enter(now);
        if (_state.Phase is CorePhase.Leaving or CorePhase.Over)
            return;
        var known = _state.Phase == CorePhase.Active && _state.Table.Live.Count > 0;
        _state.Phase = CorePhase.Leaving;
        _state.Table.Change(_state.Self, static self => self.State = MemberState.Left);
        _broadcaster.Tell(_state.Self, UpdateParts.State);
        _state.Timers.Set(now + (known ? _state.Options.LeaveLinger : TimeSpan.Zero), TimerKind.LeaveEnd);
    }

    private void Begin()
    {
        var period = _state.Options.ProbePeriod;
        var phase = _state.Variant.CommonPeriods ? TimeSpan.FromTicks(period.Ticks - _state.Now.Ticks % period.Ticks) : _state.Random.Next(period);
        _state.Timers.Set(_state.Now + phase, TimerKind.Probe);
        SetDeadContact();
        if (!_state.Variant.AntiEntropy)
            _state.Timers.Set(_state.Now + _state.Random.Next(TimeSpan.FromSeconds(30)), TimerKind.AntiEntropy);
        SetHousekeeping();
    }

    /// <summary>Tombstones go a tenth of their lifetime late at the most.</summary>
    private void SetHousekeeping()
    {
        var tenth = _state.Options.TombstoneLifetime / 10;
        _state.Timers.Set(_state.Now + (tenth < HousekeepingInterval ? tenth : HousekeepingInterval), TimerKind.Housekeeping);
    }

    private static readonly TimeSpan HousekeepingInterval = TimeSpan.FromMinutes(1);
}
