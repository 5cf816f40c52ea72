namespace Skein.Membership.Core;

/// <summary>
/// Event-driven gossip: news goes out at once, after a few milliseconds of waiting for company, round after round until it was sent often
/// enough; a token bucket bounds the packets.
/// </summary>
internal sealed class Broadcaster(CoreState state, PacketWriter outbox)
{
    private readonly MemberRecord[] _targets = new MemberRecord[state.Options.GossipFanout];
    private TimeSpan _due = TimeSpan.MaxValue;
    private TimeSpan _credit = MostCredit;
    private TimeSpan _creditAt;

    private TimeSpan CostOfPacket => TimeSpan.FromSeconds(1) / state.Options.GossipRate;

    /// <summary>A quarter of a second of the rate may go out in one burst.</summary>
    private static readonly TimeSpan MostCredit = TimeSpan.FromMilliseconds(250);

    /// <summary>As memberlist does it.</summary>
    private static readonly TimeSpan GossipToTheDead = TimeSpan.FromSeconds(30);

    /// <summary>Marks parts of a record as news and sees that they go out.</summary>
    public void Tell(MemberRecord record, UpdateParts parts)
    {
        state.News.Add(record.News, parts);
        Schedule(state.Variant.EventGossip ? state.Options.GossipCoalesce : state.Options.GossipInterval);
    }

    public void TellLoad(MemberRecord record)
    {
        state.LoadNews.Add(record.LoadNews, UpdateParts.State);
        Schedule(state.Options.LoadGossipInterval);
    }

    public void OnTimer()
    {
        if (state.Now < _due)
            return;
        _due = TimeSpan.MaxValue;
        Refill();
        var affordable = (int)Math.Min(_targets.Length, _credit / CostOfPacket);
        var targets = _targets.AsSpan(0, affordable);
        var count = Pick(targets);
        for (var i = 0; i < count; i++)
            outbox.Gossip(_targets[i].Address);
        _credit -= CostOfPacket * count;
        if (state.Table.Live.Count == 0)
            return;
        if (state.News.Count > 0)
            Schedule(affordable > 0 ? state.Options.GossipInterval : CostOfPacket);
        else if (state.LoadNews.Count > 0)
            Schedule(state.Options.LoadGossipInterval);
    }

    private int Pick(Span<MemberRecord> targets)
    {
        if (!state.Variant.EventGossip)
            return PickAsMemberlist(targets);
        var count = state.Table.PickLive(state.Random, targets);
        // A report is sent but a few times: by chance alone one in fifty would miss it. So everybody hears it from the member before it on the ring, too.
        var isLoadOnly = state.News.Count == 0 && state.LoadNews.Count > 0;
        if (isLoadOnly && count > 1 && state.Table.Successor() is { } successor && !targets[..count].Contains(successor))
            targets[count - 1] = successor;
        return count;
    }

    /// <summary>The lately dead hear gossip too: that is how they learn of it where nobody corrects them.</summary>
    private int PickAsMemberlist(Span<MemberRecord> targets)
    {
        var count = state.Table.PickLive(state.Random, targets);
        var gone = state.Table.Gone;
        for (var i = 0; i < count; i++)
            if (state.Random.Next(state.Table.Live.Count + gone.Count) is var place && place < gone.Count && IsLatelyDead(gone[place]))
                targets[i] = gone[place];
        return count;
    }

    private bool IsLatelyDead(MemberRecord record) => record.State == MemberState.Dead && state.Now - record.StateSince < GossipToTheDead;

    private void Schedule(TimeSpan delay)
    {
        var due = state.Now + delay;
        if (state.Phase == CorePhase.Observing || !state.Variant.GossipPackets || due >= _due)
            return;
        _due = due;
        state.Timers.Set(due, TimerKind.Gossip);
    }

    private void Refill()
    {
        _credit += state.Now - _creditAt;
        _creditAt = state.Now;
        if (_credit > MostCredit)
            _credit = MostCredit;
    }
}
