using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Finds the group through the seeds and keeps asking those that nobody live is at, for ever and ever more rarely: so members that started
/// alone find each other, and a cluster that was cut in two heals. The first answer also tells whether this member's name is free. A
/// newcomer that hears nothing begins further tries beside the first ("The Tail at Scale", Dean and Barroso, 2013): a lost SYN costs TCP a
/// second.
/// </summary>
internal sealed class SeedBootstrap
{
    private readonly CoreState _state;
    private readonly PacketWriter _packetWriter;
    private readonly NameCheck _nameCheck;
    private readonly Seed[] _seeds;
    private int _lastHedged;
    private bool _hedgeScheduled;
    private const int IndexBits = 8;

    public SeedBootstrap(CoreState state, PacketWriter outbox, NameCheck nameCheck, IReadOnlyList<string> seeds)
    {
        (_state, _packetWriter, _nameCheck) = (state, outbox, nameCheck);
        _seeds = [.. seeds.Select(name => new Seed(name, state.Options.SeedRetryMin))];
    }

    public IEnumerable<SeedStatus> Seeds => _seeds.Select(seed => new SeedStatus(seed.Name, seed.Reached, seed.Problem));

    public void Start()
    {
        if (_seeds.Length == 0)
            _nameCheck.Activate();
        for (var i = 0; i < _seeds.Length; i++)
            _state.Effects.Resolve(i);
    }

    public void OnResolved(int index, PeerAddress? address)
    {
        var seed = _seeds[index];
        if (seed.Hedging)
        {
            seed.Hedging = false;
            if (seed.Waiting > 0 && IsUnanswered && address is { } other && other != _state.Self.Address)
                Ask(index, other);
            return;
        }
        if (address is not { } found)
        {
            Missed(index, "its name does not resolve");
            return;
        }
        if (found == _state.Self.Address)
        {
            seed.Address = found;
            seed.Reached = true;
            seed.Tried = true;
            ActivateWhenAlone();
            return;
        }
        seed.Deadline = _state.Now + _state.Options.ExchangeTimeout;
        Ask(index, found);
    }

    /// <summary>The first answer ends a round; what comes of its other tries changes nothing any more.</summary>
    public void OnReplied(ulong attempt)
    {
        if (!TryFind(attempt, out var index, out var seed))
            return;
        seed.EndRound();
        (seed.Tried, seed.Reached, seed.Problem) = (true, true, null);
        _state.Table.Touch();
        if (IsLive(seed.Address))
            seed.Pause = _state.Options.SeedRetryMin;
        // A seed that answers without being a member is about to become one: it is asked again soon.
        AskAgain(index, IsLive(seed.Address) ? _state.Options.SeedRetryMax : NextPause(seed));
        _nameCheck.Begin();
    }

    /// <summary>Silence ends a round with its last try only; an answer of another kind ends it at once.</summary>
    public void OnFailed(ulong attempt, ExchangeOutcome outcome, string problem)
    {
        if (!TryFind(attempt, out var index, out var seed))
            return;
        seed.Waiting--;
        if (outcome == ExchangeOutcome.Failed && seed.Waiting > 0)
            return;
        seed.EndRound();
        Missed(index, problem);
    }

    /// <summary>Nobody has answered for a while: one more try, of the next seed in turn, at what its name resolves to now.</summary>
    public void OnHedgeTimer()
    {
        _hedgeScheduled = false;
        if (!IsUnanswered || !Array.Exists(_seeds, static seed => seed.Waiting > 0))
            return;
        if (_seeds.Sum(static seed => seed.Waiting + (seed.Hedging ? 1 : 0)) < _state.Options.SeedTries)
            HedgeNext();
        ScheduleHedge();
    }

    public static string Explain(ExchangeOutcome outcome) => outcome == ExchangeOutcome.Refused ? "nobody listens there" : "no answer";

    public void OnTimer(int index)
    {
        var seed = _seeds[index];
        if (_state.Phase == CorePhase.Active && IsLive(seed.Address))
            AskAgain(index, _state.Options.SeedRetryMax);
        else
            _state.Effects.Resolve(index);
    }

    private bool IsUnanswered => _state.Phase == CorePhase.Observing && !_nameCheck.Running;

    private void HedgeNext()
    {
        for (var i = 1; i <= _seeds.Length; i++)
        {
            var index = (_lastHedged + i) % _seeds.Length;
            if (_seeds[index].Waiting == 0 || _seeds[index].Hedging)
                continue;
            _lastHedged = index;
            _seeds[index].Hedging = true;
            _state.Effects.Resolve(index);
            return;
        }
    }

    private void Ask(int index, PeerAddress address)
    {
        var seed = _seeds[index];
        var timeLeft = seed.Deadline - _state.Now;
        if (timeLeft <= TimeSpan.Zero)
            return;
        seed.Address = address;
        seed.Waiting++;
        if (IsUnanswered)
            ScheduleHedge();
        var kind = _state.Phase == CorePhase.Observing ? PacketKind.Pull : PacketKind.PushPull;
        var token = new ExchangeToken(ExchangePurpose.Seed, (seed.Round << IndexBits) | (uint)index);
        _state.Effects.Exchange(token, address, _packetWriter.FullState(kind), timeLeft);
    }

    private bool TryFind(ulong attempt, out int index, out Seed seed)
    {
        index = (int)(attempt & ((1 << IndexBits) - 1));
        seed = _seeds[index];
        return seed.Waiting > 0 && seed.Round == attempt >> IndexBits;
    }

    private void ScheduleHedge()
    {
        if (_hedgeScheduled || _state.Options.SeedTries == 1)
            return;
        _hedgeScheduled = true;
        _state.Timers.Set(_state.Now + _state.Options.SeedHedgeAfter, TimerKind.SeedHedge);
    }

    private void Missed(int index, string problem)
    {
        var seed = _seeds[index];
        if (seed.Reached || seed.Problem != problem)
            _state.Table.Touch();
        (seed.Tried, seed.Reached, seed.Problem) = (true, false, problem);
        AskAgain(index, NextPause(seed));
        ActivateWhenAlone();
    }

    private void AskAgain(int index, TimeSpan pause) => _state.Timers.Set(_state.Now + Jittered(pause), TimerKind.Seed, (ulong)index);

    /// <summary>Twice as long each time.</summary>
    private TimeSpan NextPause(Seed seed)
    {
        var pause = seed.Pause;
        seed.Pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, _state.Options.SeedRetryMax.Ticks));
        return pause;
    }

    /// <summary>Every seed was tried, and none told us who is there: we are the first, or cut off.</summary>
    private void ActivateWhenAlone()
    {
        if (_state.Phase == CorePhase.Observing && !_nameCheck.Running && Array.TrueForAll(_seeds, static seed => seed.Tried))
            _nameCheck.Activate();
    }

    private bool IsLive(PeerAddress address)
    {
        for (var i = 0; i < _state.Table.Live.Count; i++)
            if (_state.Table.Live[i].Address == address)
                return true;
        return address == _state.Self.Address;
    }

    private TimeSpan Jittered(TimeSpan pause) => pause / 2 + _state.Random.Next(pause);

    private sealed class Seed(string name, TimeSpan pause)
    {
        public string Name { get; } = name;

        public PeerAddress Address { get; set; }

        public TimeSpan Pause { get; set; } = pause;

        /// <summary>Which of the times that it is asked this is; a round may have several tries.</summary>
        public ulong Round { get; private set; }

        /// <summary>When the tries of this round end.</summary>
        public TimeSpan Deadline { get; set; }

        /// <summary>Tries of this round that are under way.</summary>
        public int Waiting { get; set; }

        /// <summary>Its name is being looked up for one more.</summary>
        public bool Hedging { get; set; }

        public bool Tried { get; set; }

        public bool Reached { get; set; }

        public string? Problem { get; set; }

        public void EndRound() => (Round, Waiting) = (Round + 1, 0);
    }
}
