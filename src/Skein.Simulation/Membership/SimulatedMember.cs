using Skein.Membership.Codec;

namespace Skein.Simulation.Membership;

/// <summary>One process in the simulated network: a production core and its faults.</summary>
internal sealed class SimulatedMember : ICoreEffects
{
    private readonly MembershipWorld _world;

    public SimulatedMember(MembershipWorld world, int index, CoreSettings settings, ulong seed)
    {
        (_world, Index, Settings) = (world, index, settings);
        Core = new MembershipCore(settings, seed, this);
        if (settings.Rules is ProtocolVariant)
            Core.DelayTimer = kind => ProtocolVariant.FiresWhileBlocked(kind) ? TimeSpan.Zero : SendsFrom;
    }

    public int Index { get; }

    public CoreSettings Settings { get; }

    public MembershipCore Core { get; }

    public PeerAddress Address => Settings.Address;

    public string Name => Settings.Name;

    public ulong Id => Core.Table.Self.Id;

    /// <summary>The process does not run; its host refuses connections.</summary>
    public bool Crashed
    {
        get;
        set
        {
            field = value;
            if (value)
                _world.CloseConnections(this);
        }
    }

    /// <summary>The host is lost: nothing answers.</summary>
    public bool HostLost { get; set; }

    /// <summary>Something before the host refuses connections to it; datagrams pass.</summary>
    public bool RefusesStreams
    {
        get;
        set
        {
            field = value;
            if (value)
                _world.CloseConnections(this);
        }
    }

    /// <summary>Packets to this member are delayed until this time and not lost (a starved receiver).</summary>
    public TimeSpan ReceivesFrom { get; set; }

    /// <summary>Time that this member needs for one datagram, if longer than <see cref="MembershipWorld.HandlingTime"/>. Default 0.</summary>
    public TimeSpan HandlingTime { get; set; }

    /// <summary>The last second of virtual time in which it sent, and the number of datagrams in that second.</summary>
    public (long Second, int Sent) Rate { get; set; }

    public TimeSpan HandledAt { get; set; }

    public TimeSpan SendsFrom { get; set; }

    /// <summary>The process is paused until this time: it handles neither timers nor packets.</summary>
    public TimeSpan RunsFrom { get; set; }

    public TimeSpan WakesAt { get; set; } = TimeSpan.MaxValue;

    public bool IsRunning => !Crashed && !HostLost && Core.Phase != CorePhase.Ended;

    public List<(SimulatedMember Monitor, int Slot)> Monitors { get; } = [];

    public Dictionary<string, (TimeSpan At, LoadUpdate Load)> Beacons { get; } = [];

    /// <summary>The reported events, except <see cref="CoreEvent.Joined"/>.</summary>
    public List<(TimeSpan At, CoreEvent What, string About)> Events { get; } = [];

    public long SentPackets { get; set; }

    public long SentBytes { get; set; }

    public MemberRecord? View(string name) => Core.Table.Find(MemberName.IdOf(name));

    public MemberState StateOf(string name) => View(name)?.State ?? MemberState.None;

    void ICoreEffects.Send(PeerAddress to, ReadOnlySpan<byte> datagram) => _world.Send(this, to, datagram);

    void ICoreEffects.Exchange(ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout) =>
        _world.Exchange(this, token, to, request, timeout);

    void ICoreEffects.Monitor(int slot, PeerAddress to, ReadOnlySpan<byte> request) => _world.Monitor(this, slot, to);

    void ICoreEffects.Resolve(int seed) => _world.Resolve(this, seed);

    void ICoreEffects.BeaconReceived(MemberRecord from, LoadUpdate load) => Beacons[from.Name] = (_world.Now, load);

    void ICoreEffects.Report(CoreEvent what, MemberRecord about) => _world.OnReport(this, what, about);
}
