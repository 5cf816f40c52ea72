using System.Threading.Channels;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// The orders that a bus sends to its replica. Many writers; one loop sends all queued orders as one message. Bounded by a few orders per attempt.
/// </summary>
internal sealed class BusOrderQueue
{
    /// <summary>Size in bytes at which a message takes no more orders.</summary>
    private const int MessageBytes = BusReplicaLink.MostRequestBytes;

    private readonly Channel<Order> _orders = Channel.CreateUnbounded<Order>(new UnboundedChannelOptions { SingleReader = true });

    private enum OrderKind
    {
        Start,
        Credit,
        Cancel,
        Decline,
    }

    public void Start(BusAttempt attempt) => _orders.Writer.TryWrite(new Order(OrderKind.Start, attempt));

    public void Credit(BusAttempt attempt, int bytes) => _orders.Writer.TryWrite(new Order(OrderKind.Credit, attempt, bytes));

    public void Cancel(BusAttempt attempt) => _orders.Writer.TryWrite(new Order(OrderKind.Cancel, attempt));

    public void Decline(uint offer) => _orders.Writer.TryWrite(new Order(OrderKind.Decline, Attempt: null, Offer: offer));

    /// <summary>Accepts no more orders, and ends the sending.</summary>
    public void Close() => _orders.Writer.TryComplete();

    /// <summary>Sends until the queue is closed or the call fails.</summary>
    public async Task WriteToAsync(IClientStreamWriter<BusOrders> writer)
    {
        var message = new BusOrders();
        while (await _orders.Reader.WaitToReadAsync())
        {
            Fill(message);
            if (message.Start.Count + message.Credit.Count + message.Cancel.Count + message.Decline.Count > 0)
                await writer.WriteAsync(message);
            message.Start.Clear();
            message.Credit.Clear();
            message.Cancel.Clear();
            message.Decline.Clear();
        }
    }

    private void Fill(BusOrders message)
    {
        var bytes = 0;
        while (bytes < MessageBytes && _orders.Reader.TryRead(out var order))
        {
            if (order.Attempt is not { } attempt)
            {
                message.Decline.Add(order.Offer);
                continue;
            }
            switch (order.Kind)
            {
                case OrderKind.Start when !attempt.IsAbandoned:
                    attempt.IsStarted = true;
                    message.Start.Add(new BusStart { Stream = attempt.Stream, WindowBytes = BusAttempt.WindowBytes, Request = attempt.Request });
                    bytes += attempt.Request.CalculateSize();
                    break;
                case OrderKind.Credit:
                    message.Credit.Add(new BusCredit { Stream = attempt.Stream, Bytes = (uint)order.Bytes });
                    break;
                case OrderKind.Cancel when attempt.IsStarted:
                    message.Cancel.Add(attempt.Stream);
                    break;
            }
        }
    }

    private readonly record struct Order(OrderKind Kind, BusAttempt? Attempt, int Bytes = 0, uint Offer = 0);
}
