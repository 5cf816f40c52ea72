namespace Skein.Membership.Core;

/// <summary>
/// Probes made for others. Each is an entry with a deadline, nothing waits: the helper goes on answering meanwhile, and tells the asker
/// either way.
/// </summary>
internal sealed class IndirectProbes(CoreState state, PacketWriter outbox, Prober prober)
{
    private readonly Dictionary<uint, IndirectProbe> _indirectProbes = [];

    /// <summary>Requests served at the same time; more are dropped, which the asker notices as a missing nack.</summary>
    private const int Most = 256;

    public void OnRequest(PeerAddress asker, uint askersSequence, ulong target, PeerAddress targetAddress)
    {
        if (_indirectProbes.Count >= Most || target == 0 || targetAddress.IsNone)
            return;
        var sequence = prober.NextSequence();
        if (!_indirectProbes.TryAdd(sequence, new IndirectProbe(asker, askersSequence, target)))
            return;
        state.Timers.Set(state.Now + state.Options.IndirectTimeout * 0.75, TimerKind.RelayEnd, sequence);
        if (state.Table.Find(target) is { IsLive: true } record && record != state.Self)
            outbox.Ping(record.Address, sequence, record);
        else
            outbox.BarePing(targetAddress, sequence, target);
    }

    public bool OnAck(uint sequence, ulong sender)
    {
        if (!_indirectProbes.TryGetValue(sequence, out var relay) || relay.Target != sender)
            return false;
        _indirectProbes.Remove(sequence);
        outbox.RelayedAck(relay.Asker, relay.AskersSequence, relay.Target);
        return true;
    }

    public void OnEnd(uint sequence)
    {
        if (!_indirectProbes.Remove(sequence, out var relay))
            return;
        if (state.Variant.LocalHealth)
            outbox.Nack(relay.Asker, relay.AskersSequence, relay.Target);
        if (state.Table.Find(relay.Target) is { } record)
            record.FoundSilentAt = state.Now;
    }

    private readonly record struct IndirectProbe(PeerAddress Asker, uint AskersSequence, ulong Target);
}
