using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Finds the group through the seeds. Seeds at which no live member is known are asked again indefinitely, with growing pauses: members that started
/// alone find each other, and a partitioned cluster heals. The first reply also starts the name check. A new member without a reply hedges with
/// further attempts (Dean and Barroso, The Tail at Scale, 2013), because a lost SYN costs TCP a second.
/// </summary>
internal sealed class SeedBootstrap(CoreState state, PacketWriter packets, NameCheck nameCheck, IReadOnlyList<string> seeds)
{
    private readonly Seed[] _seeds = [.. seeds.Select(name => new Seed(name, state.Options.SeedRetryMin))];
    private int _lastHedged;
    private bool _hedgeScheduled;
    private const int IndexBits = 8;

    public IEnumerable<SeedStatus> Seeds => _seeds.Select(static seed => new SeedStatus(seed.Name, seed.Reached, seed.Problem));

    public void Start()
    {
        if (_seeds.Length == 0)
            nameCheck.Activate();
        for (var i = 0; i < _seeds.Length; i++)
            state.Effects.Resolve(i);
    }

    public void OnResolved(int index, PeerAddress? address, string problem)
    {
        var seed = _seeds[index];
        if (seed.Hedging)
        {
            seed.Hedging = false;
            if (seed.Waiting > 0 && IsUnanswered && address is { } other && other != state.Self.Address)
                Ask(index, other);
            return;
        }
        if (address is not { } found)
        {
            Fail(index, problem);
            return;
        }
        if (found == state.Self.Address)
        {
            (seed.Address, seed.Reached, seed.Tried) = (found, true, true);
            ActivateIfAlone();
            return;
        }
        seed.Deadline = state.Now + state.Options.ExchangeTimeout;
        Ask(index, found);
    }

    /// <summary>The first reply ends a round; later replies of the round are ignored.</summary>
    public void OnReplied(ulong attempt)
    {
        if (!TryFind(attempt, out var index, out var seed))
            return;
        seed.EndRound();
        (seed.Tried, seed.Reached, seed.Problem) = (true, true, null);
        state.Table.Touch();
        if (IsLive(seed.Address))
            seed.Pause = state.Options.SeedRetryMin;
        // A seed that replies before it is a member will join soon, so it is asked again soon.
        AskAgain(index, IsLive(seed.Address) ? state.Options.SeedRetryMax : NextPause(seed));
        nameCheck.Begin();
    }

    /// <summary>A timeout ends the round only with its last attempt; any other failure ends it at once.</summary>
    public void OnFailed(ulong attempt, ExchangeOutcome outcome, string? problem)
    {
        if (!TryFind(attempt, out var index, out var seed))
            return;
        seed.Waiting--;
        if (outcome == ExchangeOutcome.Failed && seed.Waiting > 0)
            return;
        seed.EndRound();
        Fail(index, problem ?? (outcome == ExchangeOutcome.Refused ? "nobody listens there" : "no answer"));
    }

    /// <summary>No seed has replied for a while: one more attempt at the next seed, at a freshly resolved address.</summary>
    public void OnHedgeTimer()
    {
        _hedgeScheduled = false;
        if (!IsUnanswered || !Array.Exists(_seeds, static seed => seed.Waiting > 0))
            return;
        if (_seeds.Sum(static seed => seed.Waiting + (seed.Hedging ? 1 : 0)) < state.Options.SeedTries)
            HedgeNext();
        ScheduleHedge();
    }

    public void OnTimer(int index)
    {
        var seed = _seeds[index];
        if (state.Phase == CorePhase.Active && IsLive(seed.Address))
            AskAgain(index, state.Options.SeedRetryMax);
        else
            state.Effects.Resolve(index);
    }

    private bool IsUnanswered => state.Phase == CorePhase.Observing && !nameCheck.IsRunning;

    private void HedgeNext()
    {
        for (var i = 1; i <= _seeds.Length; i++)
        {
            var index = (_lastHedged + i) % _seeds.Length;
            if (_seeds[index].Waiting == 0 || _seeds[index].Hedging)
                continue;
            _lastHedged = index;
            _seeds[index].Hedging = true;
            state.Effects.Resolve(index);
            return;
        }
    }

    private void Ask(int index, PeerAddress address)
    {
        var seed = _seeds[index];
        var timeLeft = seed.Deadline - state.Now;
        if (timeLeft <= TimeSpan.Zero)
            return;
        seed.Address = address;
        seed.Waiting++;
        if (IsUnanswered)
            ScheduleHedge();
        var kind = state.Phase == CorePhase.Observing ? PacketKind.Pull : PacketKind.PushPull;
        var token = new ExchangeToken(ExchangePurpose.Seed, (seed.Round << IndexBits) | (uint)index);
        state.Effects.Exchange(token, address, packets.FullState(kind), timeLeft);
    }

    private bool TryFind(ulong attempt, out int index, out Seed seed)
    {
        index = (int)(attempt & ((1 << IndexBits) - 1));
        seed = _seeds[index];
        return seed.Waiting > 0 && seed.Round == attempt >> IndexBits;
    }

    private void ScheduleHedge()
    {
        if (_hedgeScheduled || state.Options.SeedTries == 1)
            return;
        _hedgeScheduled = true;
        state.Timers.Set(state.Now + state.Options.SeedHedgeAfter, TimerKind.SeedHedge);
    }

    private void Fail(int index, string problem)
    {
        var seed = _seeds[index];
        if (seed.Reached || seed.Problem != problem)
            state.Table.Touch();
        (seed.Tried, seed.Reached, seed.Problem) = (true, false, problem);
        AskAgain(index, NextPause(seed));
        ActivateIfAlone();
    }

    /// <summary>Sets the timer for the next round, with a jitter of 50 % in both directions.</summary>
    private void AskAgain(int index, TimeSpan pause) =>
        state.Timers.Set(state.Now + (pause / 2 + state.Random.Next(pause)), TimerKind.Seed, (ulong)index);

    private TimeSpan NextPause(Seed seed)
    {
        var pause = seed.Pause;
        seed.Pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, state.Options.SeedRetryMax.Ticks));
        return pause;
    }

    /// <summary>Every seed was tried without a reply: this member is the first of the group, or isolated.</summary>
    private void ActivateIfAlone()
    {
        if (IsUnanswered && Array.TrueForAll(_seeds, static seed => seed.Tried))
            nameCheck.Activate();
    }

    private bool IsLive(PeerAddress address) =>
        address == state.Self.Address || state.Table.Live.Any(record => record.Address == address);

    private sealed class Seed(string name, TimeSpan pause)
    {
        public readonly string Name = name;
        public PeerAddress Address;
        public TimeSpan Pause = pause;

        public ulong Round;

        public TimeSpan Deadline;

        public int Waiting;

        public bool Hedging;
        public bool Tried;
        public bool Reached;
        public string? Problem;

        public void EndRound() => (Round, Waiting) = (Round + 1, 0);
    }
}

/// <summary>
/// Before a new member claims its name, it pings the last known generation of that name at its last address. A reply means that the name is
/// in use. A refused connection, a timeout, or this member's own address mean that the name is free. The new generation is above all known ones.
/// </summary>
internal sealed class NameCheck(CoreState state, PacketWriter packets, Broadcaster broadcaster, Action activated)
{
    private readonly byte[] _request = new byte[WireLimits.Datagram];
    private MemberRecord? _older;
    private const uint Sequence = 1;
    private const int Pings = 3;

    /// <summary>A seed has replied, and the older generation is being pinged.</summary>
    public bool IsRunning { get; private set; }

    /// <summary>Notes what others say about this member's name while it observes.</summary>
    public void OnUpdate(in MemberUpdate update)
    {
        if (update.Generation < (_older?.Generation ?? 0) || !update.Introduces)
            return;
        _older = new MemberRecord(new MemberFacts(state.Self.Name, update.Generation, update.Address))
        {
            Incarnation = update.Incarnation,
            State = update.State,
        };
    }

    public void Begin()
    {
        if (state.Phase != CorePhase.Observing || IsRunning)
            return;
        if (_older is not { IsLive: true } older || older.Address == state.Self.Address)
        {
            Activate();
            return;
        }
        IsRunning = true;
        Ping(older, Pings);
        var token = new ExchangeToken(ExchangePurpose.NameCheck, 0);
        state.Effects.Exchange(token, older.Address, packets.Compose(_request, PacketKind.Ping, Sequence, older.Id), state.Options.NameCheckTimeout);
    }

    /// <summary>Returns whether the ack proves that the name is in use.</summary>
    public bool OnAck(uint sequence, ulong sender, ulong generation)
    {
        if (!IsRunning || state.Phase != CorePhase.Observing || sequence != Sequence || sender != state.Self.Id)
            return false;
        if (generation != _older?.Generation)
            return false;
        state.Phase = CorePhase.Ended;
        state.Effects.Report(CoreEvent.NameTaken, _older);
        return true;
    }

    public void OnExchangeEnded(ExchangeOutcome outcome)
    {
        if (outcome == ExchangeOutcome.Refused)
            Activate();
    }

    public void OnTimer(int pingsLeft)
    {
        if (state.Phase != CorePhase.Observing || _older is not { } older)
            return;
        if (pingsLeft == 0)
            Activate();
        else
            Ping(older, pingsLeft);
    }

    public void Activate()
    {
        if (state.Phase != CorePhase.Observing)
            return;
        state.Table.Change(state.Self, _older?.Generation ?? 0, static (self, older) =>
            self.Facts = self.Facts with { Generation = Math.Max(self.Generation, older + 1) });
        state.Phase = CorePhase.Active;
        state.Self.EditDetails.StateSince = state.Now;
        broadcaster.Broadcast(state.Self, UpdateParts.All);
        state.Effects.Report(CoreEvent.Activated, state.Self);
        activated();
    }

    private void Ping(MemberRecord older, int pingsLeft)
    {
        packets.BarePing(older.Address, Sequence, older.Id);
        state.Timers.Set(state.Now + state.Options.NameCheckTimeout / Pings, TimerKind.NameCheckEnd, (ulong)(pingsLeft - 1));
    }
}
