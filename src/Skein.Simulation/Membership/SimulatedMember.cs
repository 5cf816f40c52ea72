using Skein.Membership;
using Skein.Membership.Core;
using Skein.Membership.Codec;

namespace Skein.Simulation.Membership;

/// <summary>One process in the simulated network: the production core, and what is done to it.</summary>
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

    /// <summary>The process is gone; its host answers connections with a refusal.</summary>
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

    /// <summary>The host is gone with it: nothing answers.</summary>
    public bool HostLost { get; set; }

    /// <summary>Packets to this member wait until then (a starved receiver); nothing is lost.</summary>
    public TimeSpan ReceivesFrom { get; set; }

    /// <summary>What it needs for one datagram, where it is slower than <see cref="MembershipWorld.HandlingTime"/>. Default 0: as all.</summary>
    public TimeSpan HandlingTime { get; set; }

    /// <summary>The second of virtual time in which it last sent, and how many datagrams in it; for the invariants.</summary>
    public (long Second, int Sent) Rate { get; set; }

    /// <summary>When it has handled all datagrams that came so far; with <see cref="MembershipWorld.HandlingTime"/>.</summary>
    public TimeSpan HandledAt { get; set; }

    /// <summary>Packets from this member wait until then.</summary>
    public TimeSpan SendsFrom { get; set; }

    /// <summary>The process stands still until then: neither timers nor packets are handled.</summary>
    public TimeSpan RunsFrom { get; set; }

    /// <summary>Earliest wake-up that is scheduled.</summary>
    public TimeSpan WakesAt { get; set; } = TimeSpan.MaxValue;

    public bool IsRunning => !Crashed && !HostLost && Core.Phase != CorePhase.Ended;

    /// <summary>Connections that other members keep to this one.</summary>
    public List<(SimulatedMember Monitor, int Slot)> Monitors { get; } = [];

    /// <summary>Newest beacon of each member, and when it came.</summary>
    public Dictionary<string, (TimeSpan At, LoadUpdate Load)> Beacons { get; } = [];

    /// <summary>What it reported, but for those who joined.</summary>
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
