using Skein.Membership.Codec;

namespace Skein.Membership.Core;

internal enum UpdateSource
{
    Gossip,

    /// <summary>From a comparison of views, possibly stale: a death in it only accuses, so that healed partitions do not kill each other.</summary>
    AntiEntropy,
}

/// <summary>
/// Applies the updates of other members: the newest generation wins, and within a generation the order of <see cref="SuspicionManager"/>.
/// <paramref name="requestRecord"/> gets the id of an unknown generation that an update names without introducing it.
/// </summary>
internal sealed class UpdateApplier(
    CoreState state, SuspicionManager suspicions, Broadcaster broadcaster, FlapDamper flapDamper, Action<ulong> requestRecord)
{
    public void Apply(in MemberUpdate update, UpdateSource source)
    {
        if (update.Id == state.Self.Id)
            ApplyToSelf(update);
        else if (state.Table.Find(update.Id) is not { } record)
            AddMember(update);
        else if (update.Generation > record.Generation)
            ReplaceGeneration(record, update);
        else if (update.Generation == record.Generation)
        {
            ApplyMetadata(record, update);
            ApplyState(record, update, source);
        }
    }

    public void Apply(LoadUpdate load)
    {
        if (load.Id == state.Self.Id || state.Table.Find(load.Id) is not { IsLive: true } record || !load.IsOf(record.Generation))
            return;
        if (record.Details.Load.Sequence >= load.Sequence)
            return;
        record.EditDetails.Load = load;
        state.Table.Touch();
        broadcaster.BroadcastLoad(record);
    }

    private void ApplyToSelf(in MemberUpdate update)
    {
        if (state.Phase is CorePhase.Observing or CorePhase.Ended)
            return;
        if (update.Generation > state.Self.Generation)
        {
            if (!update.Introduces)
            {
                requestRecord(update.Id);
                return;
            }
            var newer = new MemberRecord(new MemberFacts(state.Self.Name, update.Generation, update.Address));
            state.Phase = CorePhase.Ended;
            state.Effects.Report(CoreEvent.Superseded, newer);
        }
        else if (update.Generation != state.Self.Generation || state.Phase != CorePhase.Active)
            return;
        else if (update.State == MemberState.Suspect)
            flapDamper.OnSuspicion(update.Incarnation);
        else if (update.State > MemberState.Suspect)
            flapDamper.OnDeath(update.Incarnation);
    }

    private void AddMember(in MemberUpdate update)
    {
        if (update.State == MemberState.None || !update.Introduces || state.ReadFacts(update) is not { } facts)
        {
            if (update.State is MemberState.Alive or MemberState.None)
                requestRecord(update.Id);
            return;
        }
        var live = update.State is MemberState.Alive or MemberState.Suspect;
        if (!live && !IsWorthKeeping(update))
            return;
        if (live && state.Table.IsFull)
        {
            state.Effects.Report(CoreEvent.GroupFull, state.Self);
            return;
        }
        var record = new MemberRecord(facts) { Incarnation = update.Incarnation, State = InitialState(update) };
        if (!live)
            record.EditDetails.StateSince = SinceOf(update);
        if (record.State == MemberState.Dead)
            (record.EditDetails.Accusers, record.EditDetails.Refused) = (update.Accusers, update.Refused);
        state.Table.Add(record);
        Announce(record, update);
    }

    /// <summary>A newer generation takes over the name at once, at any address.</summary>
    private void ReplaceGeneration(MemberRecord record, in MemberUpdate update)
    {
        if (!update.Introduces)
        {
            requestRecord(update.Id);
            return;
        }
        if (update.State == MemberState.None || state.ReadFacts(update) is not { } facts)
            return;
        state.Table.Change(record, (facts, update.Incarnation, InitialState(update)), static (r, to) =>
        {
            (r.Facts, r.Incarnation, r.State) = to;
            r.ForgetHistory();
        });
        record.EditDetails.StateSince = SinceOf(update);
        Announce(record, update);
    }

    private void Announce(MemberRecord record, in MemberUpdate update)
    {
        // What a seed sends to a new member is known to all others.
        if (state.Phase != CorePhase.Observing)
            broadcaster.Broadcast(record, UpdateParts.All);
        if (!record.IsLive)
            return;
        state.Effects.Report(CoreEvent.Joined, record);
        if (update.State == MemberState.Suspect)
            suspicions.ApplyAccusation(record, update);
    }

    private void ApplyMetadata(MemberRecord record, in MemberUpdate update)
    {
        if (update.MetadataSequence <= record.MetadataSequence)
            return;
        var facts = record.Facts with { MetadataSequence = update.MetadataSequence, Metadata = update.Metadata.ToArray() };
        state.Table.Change(record, facts, static (r, f) => r.Facts = f);
        broadcaster.Broadcast(record, UpdateParts.Metadata);
    }

    private void ApplyState(MemberRecord record, in MemberUpdate update, UpdateSource source)
    {
        if (update.Incarnation < record.Incarnation || record.State == MemberState.Left)
            return;
        var newer = update.Incarnation > record.Incarnation;
        switch (update.State)
        {
            case MemberState.Alive when newer:
                suspicions.MarkAlive(record, update.Incarnation);
                break;
            case MemberState.Suspect or MemberState.Dead when newer || record.IsLive:
                if (newer)
                    suspicions.MarkAlive(record, update.Incarnation);
                if (update.State == MemberState.Dead && IsProven(record, update, source))
                    ApplyDeath(record, update);
                else
                    suspicions.ApplyAccusation(record, update);
                break;
            case MemberState.Left:
                suspicions.MarkLeft(record, update.Incarnation);
                record.EditDetails.StateSince = SinceOf(update);
                break;
        }
    }

    private void ApplyDeath(MemberRecord record, in MemberUpdate update)
    {
        (record.EditDetails.Accusers, record.EditDetails.Refused) = (update.Accusers, update.Refused);
        suspicions.DeclareDead(record, update.Refused.Count >= state.AccusersNeeded(record) ? DeathCause.Refused : DeathCause.Silent);
        record.EditDetails.StateSince = SinceOf(update);
    }

    /// <summary>A suspect starts as alive: the accusation is applied afterwards.</summary>
    private static MemberState InitialState(in MemberUpdate update) =>
        update.State is MemberState.Dead or MemberState.Left ? update.State : MemberState.Alive;

    /// <summary>An expiring tombstone is not added, because members that purged it would learn it again. Unknown ones do not displace known ones.</summary>
    private bool IsWorthKeeping(in MemberUpdate update) =>
        state.Now - SinceOf(update) < state.Options.TombstoneLifetime * 0.9 && state.Table.Gone.Count < state.Options.MaxTombstones;

    private TimeSpan SinceOf(in MemberUpdate update) => state.Now - TimeSpan.FromSeconds(update.GoneSeconds);

    /// <summary>A single accuser may be faulty: its verdict only accuses, unless no other member could accuse. A withdrawn member names itself.</summary>
    private bool IsProven(MemberRecord record, in MemberUpdate update, UpdateSource source) =>
        update.Accusers.Ids.Contains(update.Id) || (source == UpdateSource.Gossip && update.Accusers.Count >= state.AccusersNeeded(record));
}
