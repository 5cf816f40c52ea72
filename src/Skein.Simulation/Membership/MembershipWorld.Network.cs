using Skein.Membership.Core;
using Skein.Membership.Wire;

namespace Skein.Simulation.Membership;

/// <summary>The network between members: datagrams that may be lost, doubled and overtaken; streams that arrive or do not.</summary>
internal sealed partial class MembershipWorld
{
    public void Send(SimulatedMember from, PeerAddress to, ReadOnlySpan<byte> datagram)
    {
        from.SentPackets++;
        from.SentBytes += datagram.Length;
        if (datagram.Length > WireLimits.Datagram)
            Fail($"{from.Name} sent a datagram of {datagram.Length} bytes");
        if (!_byAddress.TryGetValue(to, out SimulatedMember? receiver) || receiver.HostLost || !Passes(from, receiver))
            return;
        int copies = _random.Chance(Link.DuplicatePermille) ? 2 : 1;
        byte[] bytes = datagram.ToArray();
        for (int i = 0; i < copies; i++)
            if (!_random.Chance(Link.LossPermille))
                Deliver(from, receiver, new WorldEvent { Kind = WorldEventKind.Datagram, Member = receiver, From = from.Address, Bytes = bytes });
    }

    public void Exchange(SimulatedMember from, ExchangeToken token, PeerAddress to, ReadOnlySpan<byte> request, TimeSpan timeout)
    {
        var stream = new StreamState(from, token);
        End(stream, ExchangeOutcome.Failed, to, [], Now + timeout);
        _byAddress.TryGetValue(to, out SimulatedMember? receiver);
        if (receiver is null || receiver.HostLost || !Link.Streams || !Passes(from, receiver) || !Passes(receiver, from))
            return;
        if (!receiver.IsRunning)
        {
            End(stream, ExchangeOutcome.Refused, to, [], Now + RoundTrip());
            return;
        }
        Deliver(from, receiver, new WorldEvent
        {
            Kind = WorldEventKind.StreamRequest, Member = receiver, From = from.Address, Bytes = request.ToArray(), Stream = stream,
        });
    }

    public void Resolve(SimulatedMember member, int seed)
    {
        PeerAddress address = PeerAddress.From(System.Net.IPEndPoint.Parse(member.Settings.Seeds[seed]));
        _events.Schedule(Now, new WorldEvent { Kind = WorldEventKind.Resolved, Member = member, From = address, Seed = seed });
    }

    private void Serve(SimulatedMember member, WorldEvent request)
    {
        if (!member.IsRunning)
            return;
        ReadOnlySpan<byte> reply = member.Core.Serve(request.From, request.Bytes, Now);
        if (!reply.IsEmpty && Passes(member, request.Stream!.Asker))
            End(request.Stream, ExchangeOutcome.Replied, member.Address, reply.ToArray(), Now + Link.Delay(_random));
    }

    private void End(StreamState stream, ExchangeOutcome outcome, PeerAddress peer, byte[] reply, TimeSpan at) =>
        _events.Schedule(at, new WorldEvent
        {
            Kind = WorldEventKind.StreamEnd, Member = stream.Asker, From = peer, Bytes = reply, Stream = stream, Outcome = outcome,
        });

    private void Deliver(SimulatedMember from, SimulatedMember to, WorldEvent what)
    {
        TimeSpan leaves = from.SendsFrom > Now ? from.SendsFrom : Now;
        TimeSpan arrives = leaves + Link.Delay(_random);
        _events.Schedule(to.ReceivesFrom > arrives ? to.ReceivesFrom : arrives, what);
    }

    private TimeSpan RoundTrip() => Link.Delay(_random) + Link.Delay(_random);
}
