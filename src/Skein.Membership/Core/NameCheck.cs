using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Before a newcomer claims its name it asks the life that last had it, at its last address. An answer means that the name is in use; a
/// refused connection, silence, or the very address this member has bound mean that it is free. Its generation is above all seen.
/// </summary>
internal sealed class NameCheck(CoreState state, PacketWriter outbox, Broadcaster spreader, Action activated)
{
    private readonly byte[] _request = new byte[WireLimits.Datagram];
    private MemberRecord? _older;
    private bool _asking;
    private const uint Sequence = 1;
    private const int Pings = 3;

    /// <summary>A seed answered, and the older life is being asked.</summary>
    public bool Running => _asking;

    /// <summary>What others say about this member's name while it observes.</summary>
    public void Hear(in MemberUpdate claim)
    {
        if (claim.Generation < (_older?.Generation ?? 0) || !claim.Introduces)
            return;
        _older = new MemberRecord(new MemberFacts(state.Self.Name, claim.Generation, claim.Address))
        {
            Incarnation = claim.Incarnation,
            State = claim.State,
        };
    }

    /// <summary>The first seed has told all it knows.</summary>
    public void Begin()
    {
        if (state.Phase != CorePhase.Observing || _asking)
            return;
        if (_older is not { IsLive: true } older || older.Address == state.Self.Address)
        {
            Activate();
            return;
        }
        _asking = true;
        Ask(older, Pings);
        var token = new ExchangeToken(ExchangePurpose.NameCheck, 0);
        state.Effects.Exchange(token, older.Address, outbox.StreamPing(_request, Sequence, older.Id), state.Options.NameCheckTimeout);
    }

    /// <summary>Somebody answered under our name: true where that settles it.</summary>
    public bool OnAck(uint sequence, ulong sender, ulong generation)
    {
        if (!_asking || state.Phase != CorePhase.Observing || sequence != Sequence || sender != state.Self.Id)
            return false;
        if (generation != _older?.Generation)
            return false;
        state.Phase = CorePhase.Over;
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
            Ask(older, pingsLeft);
    }

    /// <summary>Takes the name: from now on this member takes part.</summary>
    public void Activate()
    {
        if (state.Phase != CorePhase.Observing)
            return;
        state.Table.Change(state.Self, _older?.Generation ?? 0, static (self, older) =>
            self.Facts = self.Facts with { Generation = Math.Max(self.Generation, older + 1) });
        state.Phase = CorePhase.Active;
        state.Self.StateSince = state.Now;
        spreader.Tell(state.Self, UpdateParts.All);
        state.Effects.Report(CoreEvent.Activated, state.Self);
        activated();
    }

    private void Ask(MemberRecord older, int pingsLeft)
    {
        outbox.BarePing(older.Address, Sequence, older.Id);
        state.Timers.Set(state.Now + state.Options.NameCheckTimeout / Pings, TimerKind.NameCheckEnd, (ulong)(pingsLeft - 1));
    }
}
