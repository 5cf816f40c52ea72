using Skein.Membership.Codec;

namespace Skein.Membership.Core;

/// <summary>How a claim came: a fresh rumour, or old knowledge out of a comparison of views.</summary>
internal enum ClaimSource
{
    Rumour,

    /// <summary>Knowledge that may be stale: a death in it only accuses, so that two healed halves do not bury each other.</summary>
    Comparison,
}

/// <summary>Applies claims of others to the view: newest life wins, and within a life the order of <see cref="SuspicionManager"/>.</summary>
internal sealed class UpdateApplier(CoreState state, SuspicionManager judge, Broadcaster spreader, FlapDamper selfJudge)
{
    /// <summary>A rumour named a life without its name and address; the argument is its id. Set once.</summary>
    public Action<ulong> AskFor { get; set; } = static _ => { };

    public void Apply(in MemberUpdate claim, ClaimSource source)
    {
        if (claim.Id == state.Self.Id)
            ApplyToSelf(claim);
        else if (state.Table.Find(claim.Id) is not { } record)
            Meet(claim);
        else if (claim.Generation > record.Generation)
            BeginLife(record, claim);
        else if (claim.Generation == record.Generation)
        {
            ApplyMetadata(record, claim);
            ApplyState(record, claim, source);
        }
    }

    public void Apply(LoadUpdate load)
    {
        if (load.Id == state.Self.Id || state.Table.Find(load.Id) is not { IsLive: true } record || LoadUpdate.LifeOf(record.Generation) != load.Life)
            return;
        if (record.Load.Sequence >= load.Sequence)
            return;
        record.Load = load;
        state.Table.Touch();
        spreader.TellLoad(record);
    }

    private void ApplyToSelf(in MemberUpdate claim)
    {
        if (state.Phase is CorePhase.Observing or CorePhase.Over)
            return;
        if (claim.Generation > state.Self.Generation)
        {
            if (!claim.Introduces)
            {
                AskFor(claim.Id);
                return;
            }
            var newer = new MemberRecord(new MemberFacts(state.Self.Name, claim.Generation, claim.Address));
            state.Phase = CorePhase.Over;
            state.Effects.Report(CoreEvent.Superseded, newer);
        }
        else if (claim.Generation != state.Self.Generation || state.Phase != CorePhase.Active)
            return;
        else if (claim.State == MemberState.Suspect)
            selfJudge.OnSuspicion(claim.Incarnation);
        else if (claim.State > MemberState.Suspect)
            selfJudge.OnVerdict(claim.Incarnation);
    }

    private void Meet(in MemberUpdate claim)
    {
        if (claim.State == MemberState.None || !claim.Introduces || state.ReadFacts(claim) is not { } facts)
        {
            if (claim.State is MemberState.Alive or MemberState.None)
                AskFor(claim.Id);
            return;
        }
        var live = claim.State is MemberState.Alive or MemberState.Suspect;
        if (!live && !IsWorthRemembering(claim))
            return;
        if (live && state.Table.IsFull)
        {
            state.Effects.Report(CoreEvent.GroupFull, state.Self);
            return;
        }
        var record = new MemberRecord(facts);
        Take(record, claim);
        state.Table.Add(record);
        Announce(record, claim);
    }

    /// <summary>A newer life takes the name, at once, wherever it is.</summary>
    private void BeginLife(MemberRecord record, in MemberUpdate claim)
    {
        if (!claim.Introduces)
        {
            AskFor(claim.Id);
            return;
        }
        var newState = claim.State is MemberState.Dead or MemberState.Left ? claim.State : MemberState.Alive;
        if (claim.State == MemberState.None || state.ReadFacts(claim) is not { } facts)
            return;
        state.Table.Change(record, (facts, claim.Incarnation, newState), static (r, c) =>
        {
            (r.Facts, r.Incarnation, r.State) = c;
            r.Suspicion = null;
            r.Accusers = default;
            r.Refused = default;
            r.Death = DeathCause.Silent;
            r.FoundSilentAt = null;
            r.Load = default;
            r.BeaconSequence = 0;
        });
        record.StateSince = SinceOf(claim);
        Announce(record, claim);
    }

    private void Take(MemberRecord record, in MemberUpdate claim)
    {
        record.Incarnation = claim.Incarnation;
        record.State = claim.State is MemberState.Dead or MemberState.Left ? claim.State : MemberState.Alive;
        if (!record.IsLive)
            record.StateSince = SinceOf(claim);
        if (record.State == MemberState.Dead)
            (record.Accusers, record.Refused) = (claim.Accusers, claim.Refused);
    }

    private void Announce(MemberRecord record, in MemberUpdate claim)
    {
        // What the seed tells a newcomer is news to nobody else.
        if (state.Phase != CorePhase.Observing)
            spreader.Tell(record, UpdateParts.All);
        if (!record.IsLive)
            return;
        state.Effects.Report(CoreEvent.Joined, record);
        if (claim.State == MemberState.Suspect)
            judge.HearAccusation(record, claim);
    }

    private void ApplyMetadata(MemberRecord record, in MemberUpdate claim)
    {
        if (claim.MetadataSequence <= record.MetadataSequence)
            return;
        var facts = record.Facts with { MetadataSequence = claim.MetadataSequence, Metadata = claim.Metadata.ToArray() };
        state.Table.Change(record, facts, static (r, f) => r.Facts = f);
        spreader.Tell(record, UpdateParts.Metadata);
    }

    private void ApplyState(MemberRecord record, in MemberUpdate claim, ClaimSource source)
    {
        if (claim.Incarnation < record.Incarnation || record.State == MemberState.Left)
            return;
        var newer = claim.Incarnation > record.Incarnation;
        switch (claim.State)
        {
            case MemberState.Alive when newer:
                judge.Revive(record, claim.Incarnation);
                break;
            case MemberState.Suspect or MemberState.Dead when newer || record.IsLive:
                if (newer)
                    judge.Revive(record, claim.Incarnation);
                if (claim.State == MemberState.Dead && Proven(record, claim, source))
                    Bury(record, claim);
                else
                    judge.HearAccusation(record, claim);
                break;
            case MemberState.Left:
                judge.Farewell(record, claim.Incarnation);
                record.StateSince = SinceOf(claim);
                break;
        }
    }

    private void Bury(MemberRecord record, in MemberUpdate claim)
    {
        record.Accusers = claim.Accusers;
        record.Refused = claim.Refused;
        judge.Condemn(record, record.Refused.Count >= state.AccusersNeeded(record) ? DeathCause.Refused : DeathCause.Silent);
        record.StateSince = SinceOf(claim);
    }

    /// <summary>
    /// Who forgot it already must not learn it again from one who is a little late, nor must strangers' dead push out what this member knows.
    /// </summary>
    private bool IsWorthRemembering(in MemberUpdate claim) =>
        state.Now - SinceOf(claim) < state.Options.TombstoneLifetime * 0.9 && state.Table.Gone.Count < state.Options.MaxTombstones;

    /// <summary>Since when that state holds: a verdict is as old as it was where it was learnt.</summary>
    private TimeSpan SinceOf(in MemberUpdate claim) => state.Now - TimeSpan.FromSeconds(claim.GoneSeconds);

    /// <summary>
    /// One accuser may be sick itself: its verdict counts as an accusation, unless nobody else is there to make one. A member that resigned
    /// names itself.
    /// </summary>
    private bool Proven(MemberRecord record, in MemberUpdate claim, ClaimSource source) =>
        claim.Accusers.Contains(claim.Id) || (source == ClaimSource.Rumour && claim.Accusers.Count >= state.AccusersNeeded(record));
}
