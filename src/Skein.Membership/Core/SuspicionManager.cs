using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Decides who is suspect and who is dead. Every way from one state to another goes through here, and every one of them rises in
/// (generation, incarnation, state), so that views of the same claims are equal whatever their order.
/// </summary>
internal sealed class SuspicionManager(CoreState state, Broadcaster spreader)
{
    private int _mostSuspects;
    private TimeSpan _mostSuspectsAt;

    /// <summary>Called when others accuse a member, so that this one may look for itself. Set once.</summary>
    public Action<MemberRecord, bool> Verify { get; set; } = static (_, _) => { };

    /// <summary>Called to ask a member whether it is there, without consequences. Set once.</summary>
    public Action<MemberRecord> Ask { get; set; } = static _ => { };

    /// <summary>One member found another one silent, or was refused by it, at its present incarnation.</summary>
    public void Accuse(MemberRecord record, ulong accuser, bool refused)
    {
        if (!record.IsLive || record == state.Self || accuser == record.Id)
            return;
        var first = record.State == MemberState.Alive;
        if (first)
            BeginSuspicion(record);
        if (!AddAccuser(record, accuser, refused) && !first)
            return;
        spreader.Tell(record, UpdateParts.State);
        var proven = record.Refused.Count >= state.AccusersNeeded(record);
        if (proven || !state.Variant.Suspicion)
            Condemn(record, proven ? DeathCause.Refused : DeathCause.Silent);
        else
            Arm(record);
    }

    /// <summary>A claim of another member: its accusers count here too, and where this member has seen the same it says so.</summary>
    public void HearAccusation(MemberRecord record, in MemberUpdate claim)
    {
        var first = record.State == MemberState.Alive;
        for (var i = 0; i < claim.Accusers.Count; i++)
            Accuse(record, claim.Accusers[i], refused: false);
        for (var i = 0; i < claim.Refused.Count; i++)
            Accuse(record, claim.Refused[i], refused: true);
        if (!record.IsLive)
            return;
        if (state.Variant.Caution && FoundSilentLately(record))
            Accuse(record, state.Self.Id, refused: false);
        else if (first && record.State == MemberState.Suspect)
            Verify(record, claim.Refused.Count > 0);
    }

    /// <summary>The member is alive at a higher incarnation, or in a new life.</summary>
    public void Revive(MemberRecord record, uint incarnation)
    {
        var news = record.State != MemberState.Alive;
        state.Table.Change(record, incarnation, static (r, i) =>
        {
            r.Incarnation = i;
            r.State = MemberState.Alive;
        });
        Clear(record);
        spreader.Tell(record, UpdateParts.State);
        if (news)
            state.Effects.Report(CoreEvent.Refuted, record);
    }

    public void Condemn(MemberRecord record, DeathCause cause)
    {
        state.Table.Change(record, cause, static (r, why) =>
        {
            r.State = MemberState.Dead;
            r.Death = why;
        });
        record.Suspicion = null;
        record.StateSince = state.Now;
        spreader.Tell(record, UpdateParts.State);
        state.Effects.Report(CoreEvent.Died, record);
    }

    public void Farewell(MemberRecord record, uint incarnation)
    {
        state.Table.Change(record, incarnation, static (r, i) =>
        {
            r.Incarnation = i;
            r.State = MemberState.Left;
        });
        Clear(record);
        spreader.Tell(record, UpdateParts.State);
        state.Effects.Report(CoreEvent.Left, record);
    }

    /// <summary>This member itself is accused at <paramref name="incarnation"/>: it answers with a higher one.</summary>
    public void Refute(uint incarnation)
    {
        if (incarnation < state.Self.Incarnation)
            return;
        state.Table.Change(state.Self, incarnation, static (self, i) =>
        {
            self.Incarnation = i + 1;
            self.State = MemberState.Alive;
        });
        spreader.Tell(state.Self, UpdateParts.State);
        state.Health.Worsen(1);
        state.Effects.Report(CoreEvent.RefutedOwn, state.Self);
    }

    public void OnSuspicionTimer(ulong id)
    {
        if (state.Table.Find(id) is not { } record || state.Now < record.SuspicionTimer)
            return;
        record.SuspicionTimer = TimeSpan.MaxValue;
        if (record.Suspicion is not { } suspicion)
            return;
        if (state.Now < Due(record, suspicion))
            Arm(record);
        else if (MayBeDeaf(record))
            WaitToHear(record, suspicion);
        else if (NeedsAsking(record, suspicion))
            AskItself(record, suspicion);
        else if (record.Accusers.Count >= state.AccusersNeeded(record))
            Condemn(record, DeathCause.Silent);
        else
            LookAgain(record, suspicion);
    }

    /// <summary>After a standstill of this process: the time it slept is no time in which anybody could have refuted.</summary>
    public void Forgive(TimeSpan slept)
    {
        foreach (var record in state.Table.Live)
        {
            if (record.Suspicion is not { } suspicion)
                continue;
            suspicion.Start += slept;
            suspicion.NotBefore = state.ListenUntil;
        }
    }

    private void BeginSuspicion(MemberRecord record)
    {
        state.Table.Change(record, static r => r.State = MemberState.Suspect);
        record.Suspicion = new Suspicion(state.Now);
        record.StateSince = state.Now;
        record.Accusers = default;
        record.Refused = default;
        state.Effects.Report(CoreEvent.Suspected, record);
    }

    private static bool AddAccuser(MemberRecord record, ulong accuser, bool refused)
    {
        var accusers = record.Accusers;
        var refusals = record.Refused;
        var added = accusers.Add(accuser) | (refused && refusals.Add(accuser));
        record.Accusers = accusers;
        record.Refused = refusals;
        return added;
    }

    /// <summary>Nobody agrees: the case stays open, and everybody is asked to look again.</summary>
    private void LookAgain(MemberRecord record, Suspicion suspicion)
    {
        suspicion.NotBefore = state.Now + state.Options.SuspicionMin;
        Arm(record);
        spreader.Tell(record, UpdateParts.State);
        Verify(record, false);
    }

    /// <summary>
    /// Who heard nobody lately would not have heard a refutation either, and what has piled up meanwhile comes in its order, the accusation
    /// before the answer. Where everybody else is suspect nobody is left to be heard.
    /// </summary>
    private bool MayBeDeaf(MemberRecord record) => state.Variant.Caution && (state.HearsNobody || state.WasDeaf) && state.AccusersNeeded(record) > 1;

    private void WaitToHear(MemberRecord record, Suspicion suspicion)
    {
        suspicion.Asked = false;
        suspicion.NotBefore = state.Now + state.Options.ProbePeriod;
        Arm(record);
    }

    private void Arm(MemberRecord record)
    {
        if (record.Suspicion is not { } suspicion || Due(record, suspicion) is var due && due >= record.SuspicionTimer)
            return;
        record.SuspicionTimer = due;
        state.Timers.Set(due, TimerKind.Suspicion, record.Id);
    }

    /// <summary>Nobody condemns on hearsay alone: a refutation may have passed this member by.</summary>
    private bool NeedsAsking(MemberRecord record, Suspicion suspicion) =>
        state.Variant.Caution && !suspicion.Asked && !(record.FoundSilentAt >= suspicion.Start);

    /// <summary>The question carries our suspicion, so that the answer carries the refutation.</summary>
    private void AskItself(MemberRecord record, Suspicion suspicion)
    {
        suspicion.Asked = true;
        suspicion.NotBefore = state.Now + state.Options.DirectTimeout;
        Ask(record);
        Arm(record);
    }

    private TimeSpan Due(MemberRecord record, Suspicion suspicion)
    {
        var deadline = Deadline(record, suspicion);
        return NeedsAsking(record, suspicion) ? deadline - state.Options.DirectTimeout : deadline;
    }

    private TimeSpan Deadline(MemberRecord record, Suspicion suspicion)
    {
        var min = state.Options.SuspicionMin;
        var expected = Math.Min(state.Options.Confirmations, state.Table.LiveCount - 2);
        var window = Suspicion.Window(min, min * state.Options.SuspicionMaxFactor, record.Accusers.Count - 1, expected);
        var due = suspicion.Start + window * CrowdFactor();
        return due > suspicion.NotBefore ? due : suspicion.NotBefore;
    }

    /// <summary>
    /// When many members are suspect at once, something wider is wrong (a stalled host, a network that hiccups), and most of them will come
    /// back: the window grows with their share, up to ten times at a fifth of the group.
    /// </summary>
    private double CrowdFactor()
    {
        if (!state.Variant.Caution)
            return 1;
        // They come back one by one: the last of them must not be judged as if it were alone.
        var faded = state.Now - _mostSuspectsAt > state.Options.SuspicionMin;
        if (state.Table.Suspects >= _mostSuspects || faded)
            (_mostSuspects, _mostSuspectsAt) = (state.Table.Suspects, state.Now);
        var crowd = Math.Max(3, state.Table.LiveCount / 5);
        return 1 + Math.Min(9.0, 9.0 * Math.Max(0, _mostSuspects - 1) / crowd);
    }

    private bool FoundSilentLately(MemberRecord record) =>
        state.Now - record.FoundSilentAt < state.Options.ProbePeriod && state.Now >= state.ListenUntil;

    private void Clear(MemberRecord record)
    {
        record.Suspicion = null;
        record.Accusers = default;
        record.Refused = default;
        record.FoundSilentAt = null;
        record.StateSince = state.Now;
    }
}
