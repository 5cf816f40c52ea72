using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>
/// Decides which members are suspect and dead. Every state transition goes through here and increases (generation, incarnation, state), so
/// that views converge whatever the order of the updates. An accusation by another member calls <paramref name="verify"/>, so that this one may
/// probe the accused; the flag says that a connection was refused.
/// </summary>
internal sealed class SuspicionManager(CoreState state, Broadcaster broadcaster, Action<MemberRecord, bool> verify, Action<MemberRecord> ping)
{
    private int _maxSuspects;
    private TimeSpan _maxSuspectsAt;

    public void Accuse(MemberRecord record, ulong accuser, bool refused)
    {
        if (!record.IsLive || record == state.Self || accuser == record.Id)
            return;
        var first = record.State == MemberState.Alive;
        if (first)
            BeginSuspicion(record);
        if (!AddAccuser(record, accuser, refused) && !first)
            return;
        broadcaster.Broadcast(record, UpdateParts.State);
        var proven = record.Details.Refused.Count >= state.AccusersNeeded(record);
        if (proven || !state.Rules.Suspicion)
            DeclareDead(record, proven ? DeathCause.Refused : DeathCause.Silent);
        else
            SetTimer(record);
    }

    /// <summary>Adds the accusers that another member reported, and this member itself if it has found the same silence.</summary>
    public void ApplyAccusation(MemberRecord record, in MemberUpdate update)
    {
        var first = record.State == MemberState.Alive;
        foreach (var accuser in update.Accusers.Ids)
            Accuse(record, accuser, refused: false);
        foreach (var accuser in update.Refused.Ids)
            Accuse(record, accuser, refused: true);
        if (!record.IsLive)
            return;
        if (state.Rules.Corroboration && WasFoundSilentRecently(record))
            Accuse(record, state.Self.Id, refused: false);
        else if (first && record.State == MemberState.Suspect)
            verify(record, update.Refused.Count > 0);
    }

    public void MarkAlive(MemberRecord record, uint incarnation)
    {
        var wasAlive = record.State == MemberState.Alive;
        if (record.Details.Refused.Count > 0)
            record.EditDetails.IsRefusedAlive = true;
        ClearSuspicion(record, MemberState.Alive, incarnation);
        if (!wasAlive)
            state.Effects.Report(CoreEvent.Refuted, record);
    }

    public void MarkLeft(MemberRecord record, uint incarnation)
    {
        ClearSuspicion(record, MemberState.Left, incarnation);
        state.Effects.Report(CoreEvent.Left, record);
    }

    public void DeclareDead(MemberRecord record, DeathCause cause)
    {
        state.Table.Change(record, cause, static (r, why) => (r.State, r.EditDetails.Death) = (MemberState.Dead, why));
        record.EditDetails.Suspicion = null;
        record.EditDetails.StateSince = state.Now;
        broadcaster.Broadcast(record, UpdateParts.State);
        state.Effects.Report(CoreEvent.Died, record);
    }

    /// <summary>This member is accused at <paramref name="incarnation"/>: it answers with a higher one.</summary>
    public void Refute(uint incarnation)
    {
        if (incarnation < state.Self.Incarnation)
            return;
        state.Table.Change(state.Self, incarnation, static (self, i) => (self.Incarnation, self.State) = (i + 1, MemberState.Alive));
        broadcaster.Broadcast(state.Self, UpdateParts.State);
        state.Health.Worsen(1);
        state.Effects.Report(CoreEvent.RefutedOwn, state.Self);
    }

    public void OnTimer(ulong id)
    {
        if (state.Table.Find(id) is not { } record || state.Now < record.Details.SuspicionTimer)
            return;
        record.EditDetails.SuspicionTimer = TimeSpan.MaxValue;
        if (record.Details.Suspicion is not { } suspicion)
            return;
        if (state.Now < Due(record, suspicion))
            SetTimer(record);
        else if (MayHaveMissedRefutation(record))
            Postpone(record, suspicion);
        else if (NeedsOwnPing(record, suspicion))
            PingSuspect(record, suspicion);
        else if (record.Details.Accusers.Count >= state.AccusersNeeded(record))
            DeclareDead(record, DeathCause.Silent);
        else
            VerifyAgain(record, suspicion);
    }

    /// <summary>Extends all suspicions by a pause of this process, in which no refutation could arrive.</summary>
    public void Extend(TimeSpan pause)
    {
        foreach (var record in state.Table.Live)
        {
            if (record.Details.Suspicion is not { } suspicion)
                continue;
            suspicion.Start += pause;
            suspicion.NotBefore = state.ListenUntil;
        }
    }

    private void BeginSuspicion(MemberRecord record)
    {
        state.Table.Change(record, MemberState.Suspect, static (r, suspect) => r.State = suspect);
        ref var details = ref record.EditDetails;
        details.Suspicion = new Suspicion(state.Now);
        details.StateSince = state.Now;
        (details.Accusers, details.Refused) = (default, default);
        state.Effects.Report(CoreEvent.Suspected, record);
    }

    private void ClearSuspicion(MemberRecord record, MemberState next, uint incarnation)
    {
        state.Table.Change(record, (next, incarnation), static (r, to) => (r.State, r.Incarnation) = to);
        ref var details = ref record.EditDetails;
        (details.Suspicion, details.Accusers, details.Refused, details.FoundSilentAt) = (null, default, default, null);
        details.StateSince = state.Now;
        broadcaster.Broadcast(record, UpdateParts.State);
    }

    private static bool AddAccuser(MemberRecord record, ulong accuser, bool refused)
    {
        ref var details = ref record.EditDetails;
        return details.Accusers.Add(accuser) | (refused && details.Refused.Add(accuser));
    }

    /// <summary>The window ended without a second accuser: the suspicion continues, and all members are asked to probe again.</summary>
    private void VerifyAgain(MemberRecord record, Suspicion suspicion)
    {
        suspicion.NotBefore = state.Now + state.Options.SuspicionMin;
        SetTimer(record);
        broadcaster.Broadcast(record, UpdateParts.State);
        verify(record, false);
    }

    /// <summary>An isolated member misses refutations, and queued packets deliver accusations first. No packet comes if all others are suspect.</summary>
    private bool MayHaveMissedRefutation(MemberRecord record) =>
        state.Rules.Corroboration && (state.HearsNobody || state.WasRecentlyIsolated) && state.AccusersNeeded(record) > 1;

    private void Postpone(MemberRecord record, Suspicion suspicion)
    {
        suspicion.PingedSuspect = false;
        suspicion.NotBefore = state.Now + state.Options.ProbePeriod;
        SetTimer(record);
    }

    private void SetTimer(MemberRecord record)
    {
        if (record.Details.Suspicion is not { } suspicion || Due(record, suspicion) is var due && due >= record.Details.SuspicionTimer)
            return;
        record.EditDetails.SuspicionTimer = due;
        state.Timers.Set(due, TimerKind.Suspicion, record.Id);
    }

    /// <summary>A member declares no other dead on reports alone: it may have missed a refutation.</summary>
    private bool NeedsOwnPing(MemberRecord record, Suspicion suspicion) =>
        state.Rules.Corroboration && !suspicion.PingedSuspect && !(record.Details.FoundSilentAt >= suspicion.Start);

    /// <summary>The ping carries the suspicion, so that the ack carries the refutation.</summary>
    private void PingSuspect(MemberRecord record, Suspicion suspicion)
    {
        suspicion.PingedSuspect = true;
        suspicion.NotBefore = state.Now + state.Options.DirectTimeout;
        ping(record);
        SetTimer(record);
    }

    private TimeSpan Due(MemberRecord record, Suspicion suspicion)
    {
        var deadline = Deadline(record, suspicion);
        return NeedsOwnPing(record, suspicion) ? deadline - state.Options.DirectTimeout : deadline;
    }

    private TimeSpan Deadline(MemberRecord record, Suspicion suspicion)
    {
        var min = state.Options.SuspicionMin;
        var expected = Math.Min(state.Options.Confirmations, state.Table.LiveCount - 2);
        var window = Suspicion.Window(min, min * state.Options.SuspicionMaxFactor, record.Details.Accusers.Count - 1, expected);
        var due = suspicion.Start + window * CrowdFactor();
        return due > suspicion.NotBefore ? due : suspicion.NotBefore;
    }

    /// <summary>Many suspects indicate a wider problem from which most recover: the window grows with their share, tenfold at a fifth of the group.</summary>
    private double CrowdFactor()
    {
        if (!state.Rules.Corroboration)
            return 1;
        // Suspects recover one after the other. The recent maximum counts, so that the window does not shrink for the last ones.
        var faded = state.Now - _maxSuspectsAt > state.Options.SuspicionMin;
        if (state.Table.Suspects >= _maxSuspects || faded)
            (_maxSuspects, _maxSuspectsAt) = (state.Table.Suspects, state.Now);
        var crowd = Math.Max(3, state.Table.LiveCount / 5);
        return 1 + Math.Min(9.0, 9.0 * Math.Max(0, _maxSuspects - 1) / crowd);
    }

    private bool WasFoundSilentRecently(MemberRecord record) =>
        state.Now - record.Details.FoundSilentAt < state.Options.ProbePeriod && state.Now >= state.ListenUntil;
}

internal sealed class Suspicion(TimeSpan start)
{
    public TimeSpan Start { get; set; } = start;

    public bool PingedSuspect { get; set; }

    /// <summary>Earliest time of a verdict, whatever the window.</summary>
    public TimeSpan NotBefore { get; set; }

    /// <summary>
    /// Length of the window: from <paramref name="max"/> for a lone accuser down to <paramref name="min"/> with
    /// <paramref name="expected"/> confirmations, logarithmically (Dadgar, Phillips, Currey: Lifeguard, DSN 2018, section IV-B).
    /// </summary>
    public static TimeSpan Window(TimeSpan min, TimeSpan max, int confirmations, int expected)
    {
        if (expected < 1 || confirmations >= expected)
            return min;
        var share = Math.Log(confirmations + 1) / Math.Log(expected + 1);
        var micros = (long)(max.TotalMicroseconds - (max - min).TotalMicroseconds * share);
        return TimeSpan.FromMicroseconds(micros);
    }
}
