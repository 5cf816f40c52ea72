using Skein.Membership.Wire;

namespace Skein.Membership.Core;

/// <summary>
/// Finds the group through the seeds and keeps asking those that nobody live is at, for ever and ever more rarely: so members that started
/// alone find each other, and a cluster that was cut in two heals. The first answer also tells whether this member's name is free.
/// </summary>
internal sealed class Joiner
{
    private readonly CoreState _state;
    private readonly Outbox _outbox;
    private readonly NameCheck _nameCheck;
    private readonly Seed[] _seeds;

    public Joiner(CoreState state, Outbox outbox, NameCheck nameCheck, IReadOnlyList<string> seeds)
    {
        (_state, _outbox, _nameCheck) = (state, outbox, nameCheck);
        _seeds = [.. seeds.Select(name => new Seed(name, state.Options.SeedRetryMin))];
    }

    public IEnumerable<SeedStatus> Seeds => _seeds.Select(seed => new SeedStatus(seed.Name, seed.Reached, seed.Problem));

    public void Start()
    {
        if (_seeds.Length == 0)
            _nameCheck.Activate();
        for (int i = 0; i < _seeds.Length; i++)
            _state.Effects.Resolve(i);
    }

    public void OnResolved(int index, PeerAddress? address)
    {
        Seed seed = _seeds[index];
        if (address is not { } found)
        {
            Missed(index, "its name does not resolve");
            return;
        }
        seed.Address = found;
        if (found == _state.Self.Address)
        {
            seed.Reached = true;
            seed.Tried = true;
            ActivateWhenAlone();
            return;
        }
        PacketKind kind = _state.Phase == CorePhase.Observing ? PacketKind.Pull : PacketKind.PushPull;
        var token = new ExchangeToken(ExchangePurpose.Seed, (ulong)index);
        _state.Effects.Exchange(token, found, _outbox.FullState(kind), _state.Options.ExchangeTimeout);
    }

    public void OnReplied(int index)
    {
        Seed seed = _seeds[index];
        (seed.Tried, seed.Reached, seed.Problem) = (true, true, null);
        _state.Table.Touch();
        if (IsLive(seed.Address))
            seed.Pause = _state.Options.SeedRetryMin;
        // A seed that answers without being a member is about to become one: it is asked again soon.
        AskAgain(index, IsLive(seed.Address) ? _state.Options.SeedRetryMax : NextPause(seed));
        _nameCheck.Begin();
    }

    public void OnFailed(int index, string problem) => Missed(index, problem);

    public static string Explain(ExchangeOutcome outcome) => outcome == ExchangeOutcome.Refused ? "nobody listens there" : "no answer";

    public void OnTimer(int index)
    {
        Seed seed = _seeds[index];
        if (_state.Phase == CorePhase.Active && IsLive(seed.Address))
            AskAgain(index, _state.Options.SeedRetryMax);
        else
            _state.Effects.Resolve(index);
    }

    private void Missed(int index, string problem)
    {
        Seed seed = _seeds[index];
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
        TimeSpan pause = seed.Pause;
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
        for (int i = 0; i < _state.Table.Live.Count; i++)
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

        public bool Tried { get; set; }

        public bool Reached { get; set; }

        public string? Problem { get; set; }
    }
}
