using Skein.Membership.Codec;

namespace Skein.Simulation.Membership;

/// <summary>Production cores in a network in virtual time. One thread and one seed give one trace. Invariants are checked after every change.</summary>
internal sealed partial class MembershipWorld
{
    private readonly EventQueue<WorldEvent> _events = new();
    private readonly Dictionary<PeerAddress, SimulatedMember> _byAddress = [];
    private readonly Invariants _invariants;
    private readonly SharedFacts _facts = new();
    private const uint FirstAddress = 0x0A00_0001;
    private const ushort Port = 7946;

    /// <summary>Unix time in milliseconds at the start of every simulation.</summary>
    public const ulong Epoch = 1_800_000_000_000;

    public MembershipWorld(ulong seed, ProtocolOptions options, ProtocolRules? rules = null)
    {
        (Seed, Options, Rules) = (seed, options, rules ?? ProtocolRules.Default);
        Random = new SeededRandom(seed);
        _invariants = new Invariants(this);
    }

    public ulong Seed { get; }

    public ProtocolOptions Options { get; }

    public ProtocolRules Rules { get; }

    public LinkModel Link { get; set; } = new();

    /// <summary>Overrides the link between two members; null selects <see cref="Link"/>. Default: no overrides.</summary>
    public Func<SimulatedMember, SimulatedMember, LinkModel?>? LinkBetween { get; set; }

    /// <summary>Time for one datagram, sequentially. Default 0. A longer <see cref="SimulatedMember.HandlingTime"/> takes precedence.</summary>
    public TimeSpan HandlingTime { get; set; }

    public Func<SimulatedMember, SimulatedMember, bool> Passes { get; set; } = static (_, _) => true;

    public Func<SimulatedMember, SimulatedMember, bool> DatagramPasses { get; set; } = static (_, _) => true;

    public Action<ReadOnlyMemory<byte>> Sent { get; set; } = static _ => { };

    public List<SimulatedMember> Members { get; } = [];

    public TimeSpan Now => _events.Now;

    public SeededRandom Random { get; }

    /// <summary>Hash of the ordered events: equal seeds give equal hashes.</summary>
    public ulong TraceHash { get; private set; } = 0xCBF2_9CE4_8422_2325;

    public Action<SimulatedMember, CoreEvent, MemberRecord> Reported { get; set; } = static (_, _, _) => { };

    /// <summary>Starts a process. A known name is a restart; <paramref name="at"/> gives it the address of another member.</summary>
    public SimulatedMember Start(string name, SimulatedMember? at = null, params ReadOnlySpan<SimulatedMember> seeds) =>
        Start(name, at, clockBack: TimeSpan.Zero, seeds);

    /// <summary>The same with a wall clock that is behind by <paramref name="clockBack"/>.</summary>
    public SimulatedMember Start(string name, SimulatedMember? at, TimeSpan clockBack, params ReadOnlySpan<SimulatedMember> seeds)
    {
        var index = Members.Count;
        var address = at?.Address ?? PeerAddress.OfIPv4(FirstAddress + (uint)index, Port);
        var addresses = new string[seeds.Length];
        for (var i = 0; i < seeds.Length; i++)
            addresses[i] = seeds[i].Address.ToString();
        var generation = Epoch + (ulong)Now.TotalMilliseconds - (ulong)clockBack.TotalMilliseconds;
        var settings = new CoreSettings(name, "simulation", address, generation, Metadata: [], addresses, Options)
        {
            Rules = Rules,
            ReadFacts = _facts.Read,
        };
        var member = new SimulatedMember(this, index, settings, Random.NextUInt64());
        Members.Add(member);
        _byAddress[address] = member;
        _invariants.Watch(member);
        member.Core.Start(Now);
        Settle(member);
        return member;
    }

    /// <summary>Starts <paramref name="count"/> members named m-0, m-1, …; the first one is the seed of the others.</summary>
    public void StartMany(int count)
    {
        var first = Start("m-0");
        for (var i = 1; i < count; i++)
            Start($"m-{i}", at: null, first);
    }

    /// <summary>Starts <paramref name="count"/> members that know each other from the start.</summary>
    public void StartSettled(int count)
    {
        for (var i = 0; i < count; i++)
            Start($"m-{i}");
        MemberFacts[] all = [.. Members.Select(static member => member.Core.Table.Self.Facts)];
        foreach (var viewer in Members)
        {
            var table = viewer.Core.Table;
            table.Reserve(all.Length - 1);
            foreach (var other in all)
                if (!ReferenceEquals(other, table.Self.Facts))
                    table.Add(new MemberRecord(other) { State = MemberState.Alive });
        }
    }

    public void At(TimeSpan when, Action action) =>
        _events.Schedule(when, new WorldEvent(WorldEventKind.Action, Member: null, 0, action));

    public void RunFor(TimeSpan time)
    {
        var limit = Now + time;
        while (_events.TryTake(limit, out var what))
            Handle(what);
    }

    /// <summary>Runs until the condition holds after an event; returns false if the limit passes first.</summary>
    public bool RunUntil(Func<bool> condition, TimeSpan limit)
    {
        var end = Now + limit;
        while (!condition())
        {
            if (!_events.TryTake(end, out var what))
                return condition();
            Handle(what);
        }
        return true;
    }

    public IEnumerable<SimulatedMember> Running => Members.Where(static member => member.IsRunning);

    /// <summary>Whether all running members see the same live members.</summary>
    public bool Agree()
    {
        SimulatedMember[] running = [.. Running];
        return Array.TrueForAll(running, member =>
            member.Core.Table.LiveCount == running.Length && member.Core.Table.Digest == running[0].Core.Table.Digest);
    }

    public void Fail(string problem) =>
        throw new InvalidOperationException($"{problem} (seed={Seed}, at {Now}, {Members.Count} members, trace {TraceHash:x16})");

    public void Do(SimulatedMember member, Action<MembershipCore, TimeSpan> action)
    {
        action(member.Core, Now);
        Settle(member);
    }

    internal void OnReport(SimulatedMember member, CoreEvent what, MemberRecord about)
    {
        // A forming group reports one of these for each pair of members.
        if (what != CoreEvent.Joined)
            member.Events.Add((Now, what, about.Name));
        Note((ulong)what + 100, about.Id);
        Reported(member, what, about);
    }

    private void Handle(WorldEvent what)
    {
        if (what.Member is not { } member)
        {
            what.Run();
            return;
        }
        if (member.RunsFrom > Now && member.IsRunning)
        {
            _events.Schedule(member.RunsFrom, what);
            return;
        }
        if (Waits(member, what))
            return;
        Note((ulong)what.Kind, ((ulong)member.Index << 32) | (uint)what.Length);
        if (member.IsRunning)
            what.Run();
        Settle(member);
    }

    private void Wake(SimulatedMember member)
    {
        if (member.WakesAt <= Now)
            member.WakesAt = TimeSpan.MaxValue;
        member.Core.Advance(Now);
    }

    private void Settle(SimulatedMember member)
    {
        var due = member.Core.NextDue;
        if (!member.IsRunning || due >= member.WakesAt)
            return;
        member.WakesAt = due;
        _events.Schedule(due, new WorldEvent(WorldEventKind.Wake, member, 0, () => Wake(member)));
    }

    private void Note(ulong what, ulong value) =>
        TraceHash = SeededRandom.Mix(TraceHash ^ (ulong)Now.Ticks) ^ SeededRandom.Mix(what + value * 31);
}

/// <summary>Shares one copy of the facts of a generation between all views of a simulation.</summary>
internal sealed class SharedFacts
{
    private readonly Dictionary<(ulong Id, ulong Generation), MemberFacts> _facts = [];

    public MemberFacts? Read(in MemberUpdate update)
    {
        if (_facts.TryGetValue((update.Id, update.Generation), out var known) && Matches(update, known))
            return known;
        var facts = MemberFacts.Read(update);
        if (facts is not null)
            _facts[(facts.Id, facts.Generation)] = facts;
        return facts;
    }

    private static bool Matches(in MemberUpdate update, MemberFacts known) =>
        update.Name.SequenceEqual(known.NameBytes) && update.Address == known.Address
        && update.MetadataSequence == known.MetadataSequence && update.Metadata.SequenceEqual(known.Metadata);
}
