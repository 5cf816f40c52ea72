using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Grpc.Core;

namespace Skein.Serving.Grpc;

/// <summary>
/// The replica's end of one bus. One loop reads orders and never waits for an engine. Another loop sends all frames that are ready as one message.
/// </summary>
/// <param name="abort">Aborts the call, without waiting.</param>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and the sending loop may cancel it last of all.")]
internal sealed partial class BusSession(
    EngineHost host,
    IServerStreamWriter<BusFrames> writer,
    ReplicaOptions options,
    TimeProvider time,
    Action abort,
    ILogger logger)
{
    /// <summary>Interval of heartbeats on a bus or call that carries nothing else.</summary>
    public static readonly TimeSpan HeartbeatInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>Size in bytes at which a message takes no more frames.</summary>
    public const int MessageBytes = 16 << 10;

    private const uint LeastWindowBytes = 1 << 10;
    private const uint MostWindowBytes = 1 << 20;

    private readonly ConcurrentDictionary<ulong, BusStream> _attempts = new();
    private readonly Channel<BusStream?> _ready = Channel.CreateUnbounded<BusStream?>(new UnboundedChannelOptions { SingleReader = true });
    private readonly WriteStallDetector _stalls = new(time, options.WriteTimeout);
    private readonly CancellationTokenSource _over = new();
    private volatile bool _isStopping;
    private int _beatIsDue;
    private uint _offer;

    /// <summary>Serves until the gateway is gone, or the host stops and no attempt is left.</summary>
    /// <exception cref="RpcException">The gateway broke a rule of the bus.</exception>
    public async Task RunAsync(IAsyncStreamReader<BusOrders> orders, CancellationToken gatewayGone, CancellationToken stopping)
    {
        await using var ticks = time.CreateTimer(_ => Tick(), state: null, HeartbeatInterval, HeartbeatInterval);
        await using var stop = stopping.UnsafeRegister(session => ((BusSession)session!).Stop(), this);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(gatewayGone, _over.Token);
        using var offers = host.SubscribeToOffers(Offer);
        var sending = SendAllAsync();
        try
        {
            while (await orders.MoveNext(either.Token))
                Take(orders.Current, offers);
        }
        catch (Exception) when (either.IsCancellationRequested)
        {
            // The gateway is gone, or the host stops.
        }
        finally
        {
            foreach (var (_, attempt) in _attempts)
                attempt.Cancel();

            await Task.WhenAll(_attempts.Values.Select(attempt => attempt.Running));
            _ready.Writer.Complete();
            await sending;
        }
    }

    /// <summary>Schedules an attempt that has something to send.</summary>
    public void Ready(BusStream attempt) => _ready.Writer.TryWrite(attempt);

    private void Take(BusOrders orders, OfferSubscription offers)
    {
        foreach (var start in orders.Start)
            Start(start, offers);

        foreach (var offer in orders.Decline)
            offers.Decline(offer);

        foreach (var credit in orders.Credit)
        {
            if (_attempts.TryGetValue(credit.Stream, out var attempt))
                attempt.AddCredit(credit.Bytes);
        }

        foreach (var stream in orders.Cancel)
        {
            if (_attempts.TryGetValue(stream, out var attempt))
                attempt.Cancel();
        }
    }

    private void Start(BusStart start, OfferSubscription offers)
    {
        // An attempt counts until its end is sent, so that a gateway that reads nothing cannot fill the memory.
        if (_attempts.Count >= options.MaxStreamsPerConnection)
        {
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted, $"{_attempts.Count} attempts run on this bus or have an unread end; no more are allowed"));
        }

        var attempt = new BusStream(start, this);
        if (!_attempts.TryAdd(start.Stream, attempt))
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"stream {start.Stream} is in use; each start needs a number of its own"));

        offers.ListenAs(start.Request?.Caller ?? "");
        attempt.Running = RunAsync(attempt, start);
    }

    // Called under the slots' lock. The newest offer replaces an unsent one.
    private void Offer(uint number)
    {
        Volatile.Write(ref _offer, number);
        _ready.Writer.TryWrite(null);
    }

    private async Task RunAsync(BusStream stream, BusStart start)
    {
        try
        {
            if (start.WindowBytes is < LeastWindowBytes or > MostWindowBytes)
            {
                throw new FaultException(
                    Fault.InvalidRequest, $"window_bytes is {start.WindowBytes}; allowed: {LeastWindowBytes} to {MostWindowBytes}");
            }

            if (start.Request is null)
                throw new FaultException(Fault.InvalidRequest, "request is absent; a start needs one");

            // Synchronously, so that slots are taken in the order of the starts.
            using var attempt = host.Begin(start.Request);
            await stream.RunAsync(attempt);
            stream.End(status: null);
        }
        catch (Exception exception)
        {
            var status = ReplicaStatus.Of(exception, stream.Cancelled);
            if (status is null)
                Log.AttemptFailed(logger, start.Request?.RequestId ?? "", start.Stream, exception);

            stream.End(status ?? ReplicaStatus.Internal(exception));
        }
    }

    private async Task SendAllAsync()
    {
        var message = new BusFrames();
        try
        {
            while (await _ready.Reader.WaitToReadAsync())
            {
                if (!Fill(message))
                    continue;

                _stalls.WriteBegins();
                await writer.WriteAsync(message);
                _stalls.WriteEnds();
                message.Frames.Clear();
                message.Ends.Clear();
                EndIfStopped();
            }
        }
        catch (Exception exception)
        {
            Log.CannotSend(logger, exception);
            abort();
        }
    }

    /// <returns>False when there is nothing to send.</returns>
    private bool Fill(BusFrames message)
    {
        message.Beat = Interlocked.Exchange(ref _beatIsDue, 0) == 1;
        message.Offer = Interlocked.Exchange(ref _offer, 0);
        for (var bytes = 0; bytes < MessageBytes && _ready.Reader.TryRead(out var attempt);)
        {
            if (attempt is not null && attempt.MoveInto(message, ref bytes))
                _attempts.TryRemove(attempt.Stream, out _);
        }

        return message.Beat || message.Offer != 0 || message.Frames.Count + message.Ends.Count > 0;
    }

    private void Tick()
    {
        if (_stalls.Tick() == Silence.Stuck)
        {
            abort();
        }
        else if (!_attempts.IsEmpty && Interlocked.Exchange(ref _beatIsDue, 1) == 0)
        {
            _ready.Writer.TryWrite(null);
        }
    }

    private void Stop()
    {
        _isStopping = true;
        EndIfStopped();
    }

    private void EndIfStopped()
    {
        if (_isStopping && _attempts.IsEmpty)
            _ = _over.CancelAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(2004, LogLevel.Error, "Request {RequestId} failed on stream {Stream} of a bus")]
        public static partial void AttemptFailed(ILogger logger, string requestId, ulong stream, Exception exception);

        [LoggerMessage(2005, LogLevel.Debug, "Writing to a bus failed; its call is aborted")]
        public static partial void CannotSend(ILogger logger, Exception exception);
    }
}
