using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Skein.Protocol.V1;

namespace Skein.Serving;

/// <summary>
/// The replica's end of one bus. One loop takes orders, and never waits for anything else; one loop sends all that is ready as one message.
/// </summary>
/// <param name="serve">Runs an attempt until its engine has stopped and all it said was written, as a call of Generate does.</param>
/// <param name="writer">Towards the gateway.</param>
/// <param name="slots">Keeps some for the gateway, which is told here.</param>
/// <param name="options">Bounds and rhythm.</param>
/// <param name="time">For heartbeats.</param>
/// <param name="abort">Cuts the call off, without waiting.</param>
/// <param name="logger">For what goes wrong behind the gateway's back.</param>
[SuppressMessage("Design", "CA1001", Justification = "The source has neither timer nor handle, and the sending loop may cancel it last of all.")]
internal sealed partial class BusSession(
    Func<BusStream, Task> serve,
    IServerStreamWriter<BusFrames> writer,
    SlotTable slots,
    ReplicaOptions options,
    TimeProvider time,
    Action abort,
    ILogger logger)
{
    private const int MessageBytes = 16 << 10;
    private const uint LeastWindowBytes = 1 << 10;
    private const uint MostWindowBytes = 1 << 20;

    private readonly ConcurrentDictionary<ulong, BusStream> _attempts = new();
    private readonly Channel<BusStream?> _ready = Channel.CreateUnbounded<BusStream?>(new UnboundedChannelOptions { SingleReader = true });
    private readonly WriteStallDetector _watch = new(time, options.WriteTimeout);
    private readonly CancellationTokenSource _over = new();
    private volatile bool _isStopping;
    private int _beatIsDue;
    private string _gateway = "";
    private uint _offer;

    /// <summary>Serves until the gateway is gone, or the host stops and no attempt is left.</summary>
    /// <exception cref="RpcException">The gateway broke a rule of the bus.</exception>
    public async Task RunAsync(IAsyncStreamReader<BusOrders> orders, CancellationToken gatewayGone, CancellationToken stopping)
    {
        await using var ticks = time.CreateTimer(_ => Tick(), state: null, options.HeartbeatInterval, options.HeartbeatInterval);
        await using var stop = stopping.UnsafeRegister(session => ((BusSession)session!).Stop(), this);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(gatewayGone, _over.Token);
        var sending = SendAllAsync();
        try
        {
            while (await orders.MoveNext(either.Token))
            {
                Take(orders.Current);
            }
        }
        catch (Exception) when (either.IsCancellationRequested)
        {
            // The end, as above.
        }
        finally
        {
            slots.StopListening(_gateway, Offer);
            foreach (var (_, attempt) in _attempts)
            {
                attempt.Cancel();
            }

            await Task.WhenAll(_attempts.Values.Select(attempt => attempt.Running));
            _ready.Writer.Complete();
            await sending;
        }
    }

    /// <summary>An attempt has something to send.</summary>
    public void Ready(BusStream attempt) => _ready.Writer.TryWrite(attempt);

    private void Take(BusOrders orders)
    {
        foreach (var start in orders.Start)
        {
            Start(start);
        }

        foreach (var offer in orders.Decline)
        {
            slots.Decline(_gateway, offer);
        }

        foreach (var credit in orders.Credit)
        {
            if (_attempts.TryGetValue(credit.Stream, out var attempt))
            {
                attempt.AddCredit(credit.Bytes);
            }
        }

        foreach (var stream in orders.Cancel)
        {
            if (_attempts.TryGetValue(stream, out var attempt))
            {
                attempt.Cancel();
            }
        }
    }

    private void Start(BusStart start)
    {
        // Ends count until they are sent: a gateway that does not read them cannot fill the memory.
        if (_attempts.Count >= options.MaxStreamsPerConnection)
        {
            throw new RpcException(new Status(
                StatusCode.ResourceExhausted, $"{_attempts.Count} attempts run on this bus or have an end that was not read; that is the most"));
        }

        var attempt = new BusStream(start, this);
        if (!_attempts.TryAdd(start.Stream, attempt))
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"stream {start.Stream} is in use; each start needs a number of its own"));
        }

        ListenAs(start.Request?.Caller ?? "");
        attempt.Running = RunAsync(attempt, start);
    }

    // A bus does not say whose it is; its attempts do. Names that are too long are refused with their attempts.
    private void ListenAs(string caller)
    {
        if (caller.Length is 0 or > InferenceService.MostNameBytes || string.Equals(caller, _gateway, StringComparison.Ordinal))
        {
            return;
        }

        slots.StopListening(_gateway, Offer);
        _gateway = caller;
        slots.Listen(_gateway, Offer);
    }

    // Under the slots' lock. One offer at a time: the newest is the one that counts.
    private void Offer(uint number)
    {
        Volatile.Write(ref _offer, number);
        _ready.Writer.TryWrite(null);
    }

    private async Task RunAsync(BusStream attempt, BusStart start)
    {
        try
        {
            if (start.WindowBytes is < LeastWindowBytes or > MostWindowBytes)
            {
                throw ReplicaStatus.InvalidRequest($"window_bytes is {start.WindowBytes}; allowed: {LeastWindowBytes} to {MostWindowBytes}");
            }

            if (start.Request is null)
            {
                throw ReplicaStatus.InvalidRequest("request is absent; a start needs one");
            }

            await serve(attempt);
            attempt.End(status: null);
        }
        catch (RpcException exception)
        {
            attempt.End(exception.GetRpcStatus() ?? new Google.Rpc.Status { Code = (int)exception.StatusCode, Message = exception.Status.Detail });
        }
        catch (Exception exception)
        {
            Log.AttemptFailed(logger, start.Stream, exception);
            attempt.End(new Google.Rpc.Status { Code = (int)StatusCode.Internal, Message = $"the replica failed: {exception.GetType().Name}" });
        }
    }

    private async Task SendAllAsync()
    {
        var message = new BusFrames();
        try
        {
            while (await _ready.Reader.WaitToReadAsync())
            {
                Fill(message);
                _watch.WriteBegins();
                await writer.WriteAsync(message);
                _watch.WriteEnds();
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

    private void Fill(BusFrames message)
    {
        message.Beat = Interlocked.Exchange(ref _beatIsDue, 0) == 1;
        message.Offer = Interlocked.Exchange(ref _offer, 0);
        for (var bytes = 0; bytes < MessageBytes && _ready.Reader.TryRead(out var attempt);)
        {
            if (attempt is not null && attempt.TakeInto(message, ref bytes))
            {
                _attempts.TryRemove(attempt.Stream, out _);
            }
        }
    }

    private void Tick()
    {
        if (_watch.Tick() == Silence.Stuck)
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
        {
            _ = _over.CancelAsync();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(2004, LogLevel.Error, "Attempt on stream {Stream} of a bus failed")]
        public static partial void AttemptFailed(ILogger logger, ulong stream, Exception exception);

        [LoggerMessage(2005, LogLevel.Debug, "A bus cannot be written to")]
        public static partial void CannotSend(ILogger logger, Exception exception);
    }
}
