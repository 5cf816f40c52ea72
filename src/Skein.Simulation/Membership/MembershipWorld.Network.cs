using Skein.Membership.Codec;

namespace Skein.Simulation.Membership;

/// <summary>The network between members: datagrams may be lost, duplicated and reordered; streams may fail.</summary>
internal sealed partial class MembershipWorld
{
    /// <summary>Initial retransmission timeout of a SYN (RFC 6298), and the minimum one of data (Linux).</summary>
    private static readonly TimeSpan HandshakeTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DataTimeout = TimeSpan.FromMilliseconds(200);

    public void Send(SimulatedMember from, PeerAddress to, ReadOnlySpan<byte> datagram)
    {
        from.SentPackets++;
        from.SentBytes += datagram.Length;
        if (datagram.Length > WireLimits.Datagram)
            Fail($"{from.Name} sent a datagram of {datagram.Length} bytes");
        _invariants.CheckRate(from);
        var bytes = datagram.ToArray();
        Sent(bytes);
        if (!_byAddress.TryGetValue(to, out var receiver) || receiver.HostLost || !Passes(from, receiver) || !DatagramPasses(from, receiver))
            return;
        var link = Between(from, receiver);
        var copies = Random.Chance(link.DuplicatePermille) ? 2 : 1;
        for (var i = 0; i < copies; i++)
            if (!Random.Chance(link.LossPermille))
                Deliver(from, new WorldEvent(WorldEventKind.Datagram, receiver, bytes.Length, () => receiver.Core.Receive(from.Address, bytes, Now)));
    }

    public void Exchange(SimulatedMember from, ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout)
    {
        var stream = new StreamState(from, token);
        End(stream, ExchangeOutcome.Failed, to, [], Now + timeout);
        _byAddress.TryGetValue(to, out var receiver);
        if (receiver is null || receiver.HostLost || !Link.Streams || !Passes(from, receiver) || !Passes(receiver, from))
            return;
        if (!receiver.IsRunning || receiver.RefusesStreams)
        {
            End(stream, ExchangeOutcome.Refused, to, [], Now + RoundTrip());
            return;
        }
        Deliver(from, Request(stream, receiver, request.ToArray()));
    }

    public void Monitor(SimulatedMember from, int slot, PeerAddress to)
    {
        if (to.IsNone || !Link.Streams || !_byAddress.TryGetValue(to, out var target) || target.HostLost)
            return;
        if (target is { IsRunning: true, RefusesStreams: false })
            target.Monitors.Add((from, slot));
        else
            Break(from, slot, to);
    }

    /// <summary>The kernel of a dead process closes its connections.</summary>
    public void CloseConnections(SimulatedMember gone)
    {
        foreach ((var monitor, var slot) in gone.Monitors)
            if (Passes(gone, monitor))
                Break(monitor, slot, gone.Address);
        gone.Monitors.Clear();
    }

    private void Break(SimulatedMember monitor, int slot, PeerAddress peer) =>
        _events.Schedule(
            Now + Link.Delay(Random), new WorldEvent(WorldEventKind.ConnectionEnded, monitor, 0, () => monitor.Core.ConnectionEnded(slot, peer, Now)));

    public void Resolve(SimulatedMember member, int seed)
    {
        var address = PeerAddress.From(System.Net.IPEndPoint.Parse(member.Settings.Seeds[seed]));
        _events.Schedule(Now, new WorldEvent(WorldEventKind.Resolved, member, 0, () => member.Core.SeedResolved(seed, address, Now)));
    }

    /// <summary>Delivers a request after the TCP retransmissions of its handshake and data. A refusal is never lost.</summary>
    private void Serve(SimulatedMember member, StreamState stream, byte[] request)
    {
        if (stream.Ended)
            return;
        if (stream.ReplyTakes is not { } replyTakes)
        {
            (var there, var back) = (Between(stream.Requester, member), Between(member, stream.Requester));
            var passes = back.Delay(Random);
            var late = Retransmissions(there, HandshakeTimeout) + Retransmissions(back, HandshakeTimeout) + Retransmissions(there, DataTimeout);
            stream.ReplyTakes = replyTakes = passes + Retransmissions(back, DataTimeout);
            if (late > TimeSpan.Zero)
            {
                _events.Schedule(Now + late, Request(stream, member, request));
                return;
            }
        }
        var reply = member.Core.Serve(stream.Requester.Address, request, Now, out _);
        if (!reply.IsEmpty && Passes(member, stream.Requester))
            End(stream, ExchangeOutcome.Replied, member.Address, reply.ToArray(), Now + replyTakes);
    }

    private WorldEvent Request(StreamState stream, SimulatedMember receiver, byte[] request) =>
        new(WorldEventKind.StreamRequest, receiver, request.Length, () => Serve(receiver, stream, request));

    /// <summary>Delay of one TCP packet by loss: its retransmission timeout, doubled for each loss.</summary>
    private TimeSpan Retransmissions(LinkModel link, TimeSpan timeout)
    {
        var late = TimeSpan.Zero;
        for (var wait = timeout; Random.Chance(link.LossPermille); wait *= 2)
            late += wait;
        return late;
    }

    private LinkModel Between(SimulatedMember from, SimulatedMember to) => LinkBetween?.Invoke(from, to) ?? Link;

    private void End(StreamState stream, ExchangeOutcome outcome, PeerAddress peer, byte[] reply, TimeSpan at) =>
        _events.Schedule(at, new WorldEvent(WorldEventKind.StreamEnd, stream.Requester, reply.Length, () =>
        {
            if (!stream.Ended)
                stream.Requester.Core.ExchangeEnded(stream.Token, outcome, peer, reply, Now);
            stream.Ended = true;
        }));

    private void Deliver(SimulatedMember from, WorldEvent what)
    {
        var to = what.Member!;
        var leaves = from.SendsFrom > Now ? from.SendsFrom : Now;
        var arrives = leaves + Between(from, to).Delay(Random);
        _events.Schedule(to.ReceivesFrom > arrives ? to.ReceivesFrom : arrives, what);
    }

    /// <summary>Whether a datagram waits behind others, or for the end of a block of its receiver.</summary>
    private bool Waits(SimulatedMember member, WorldEvent what)
    {
        var handling = member.HandlingTime > HandlingTime ? member.HandlingTime : HandlingTime;
        var isBehind = handling > TimeSpan.Zero || member.HandledAt > Now;
        if (!isBehind || what.Kind != WorldEventKind.Datagram || (what.Waited && member.ReceivesFrom <= Now))
            return false;
        var from = member.ReceivesFrom > Now ? member.ReceivesFrom : Now;
        member.HandledAt = (member.HandledAt > from ? member.HandledAt : from) + handling;
        what.Waited = true;
        _events.Schedule(member.HandledAt, what);
        return true;
    }

    private TimeSpan RoundTrip() => Link.Delay(Random) + Link.Delay(Random);
}

/// <summary>Properties of a network link. Immutable. Whole microseconds and permille only, so that a seed replays on any machine.</summary>
public sealed record LinkModel
{
    /// <summary>Minimum one-way delay. Default 200 us.</summary>
    public TimeSpan Latency { get; init; } = TimeSpan.FromMicroseconds(200);

    /// <summary>Upper bound of a uniform additional delay, which also reorders packets. Default 300 us.</summary>
    public TimeSpan Jitter { get; init; } = TimeSpan.FromMicroseconds(300);

    /// <summary>Loss of datagrams in permille. Default 0.</summary>
    public int LossPermille { get; init; }

    /// <summary>Duplication of datagrams in permille. Default 0.</summary>
    public int DuplicatePermille { get; init; }

    /// <summary>Whether TCP streams work. Default true.</summary>
    public bool Streams { get; init; } = true;

    internal TimeSpan Delay(SeededRandom random) => Latency + random.Next(Jitter);
}
