using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Grpc.Core;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;
using RpcStatus = Google.Rpc.Status;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// One long-lived call to a replica that carries many attempts, see <c>Inference.Bus</c>. It lives until it breaks, with all its attempts,
/// or until its channel is closed. Thread-safe.
/// </summary>
internal sealed class TokenBus
{
    private readonly AsyncDuplexStreamingCall<BusOrders, BusFrames> _call;
    private readonly Func<bool> _takeOffer;
    private readonly BusOrderQueue _orders = new();
    private readonly ConcurrentDictionary<ulong, BusAttempt> _attempts = [];
    private ulong _lastStream;
    private volatile bool _broken;
    private volatile Exception? _unsendable;

    /// <param name="client">Of the replica.</param>
    /// <param name="takeOffer">Called when the replica keeps a slot for this gateway: false when nobody here has a use for it. Returns at once.</param>
    /// <exception cref="ObjectDisposedException">The channel is closed.</exception>
    public TokenBus(Inference.InferenceClient client, Func<bool> takeOffer)
    {
        _takeOffer = takeOffer;
        _call = client.Bus(new CallOptions());
        _ = ReadAsync();
        _ = WriteAsync();
    }

    /// <summary>Whether it takes no more attempts.</summary>
    public bool IsBroken => _broken;

    /// <summary>Whether the replica knows no such call: it is of a release without it.</summary>
    public bool IsUnknown { get; private set; }

    /// <summary>Starts an attempt; false when the bus is broken.</summary>
    public bool TryStart(GenerateRequest request, CancellationToken cancellation, [NotNullWhen(true)] out BusAttempt? attempt)
    {
        attempt = new BusAttempt(this, Interlocked.Increment(ref _lastStream), request, cancellation);
        _attempts[attempt.Stream] = attempt;
        // Looked at after it was added: either this sees the break, or the break sees it.
        if (_broken && _attempts.TryRemove(attempt.Stream, out _))
        {
            attempt = null;
            return false;
        }
        attempt.WatchCancellation();
        _orders.Start(attempt);
        return true;
    }

    /// <summary>So many bytes of its frames were read.</summary>
    public void Credit(BusAttempt attempt, int bytes) => _orders.Credit(attempt, bytes);

    /// <summary>Its session reads no more; where the replica has not ended it, it is cancelled there.</summary>
    public void Leave(BusAttempt attempt)
    {
        if (_attempts.TryRemove(attempt.Stream, out _))
            _orders.Cancel(attempt);
    }

    private async Task ReadAsync()
    {
        var error = LinkError.ConnectionLost;
        var message = "the replica closed the bus";
        Exception? cause = null;
        try
        {
            while (await _call.ResponseStream.MoveNext(CancellationToken.None))
                Deal(_call.ResponseStream.Current);
        }
        catch (RpcException end)
        {
            IsUnknown = end.StatusCode == StatusCode.Unimplemented;
            (error, message, cause) = (LinkErrors.OfConnection(end.Status.DebugException) ?? error, end.Status.Detail, end);
        }
        catch (OperationCanceledException end)
        {
            // A connection that could not be made, or was closed here, is told as a cancel; the call's status may know better.
            _call.Dispose();
            var status = _call.GetStatus();
            var told = status.DebugException ?? (_unsendable is null ? end : null);
            (error, message, cause) = (LinkErrors.OfConnection(told) ?? error, status.Detail.Length > 0 ? status.Detail : end.Message, end);
        }
        catch (Exception end)
        {
            (message, cause) = ($"the replica sent what cannot be read: {end.Message}", end);
        }
        _broken = true;
        _orders.Close();
        _call.Dispose();
        foreach ((var stream, var attempt) in _attempts)
        {
            if (_attempts.TryRemove(stream, out _))
                attempt.Fail(new LinkException(error, message, load: null, _unsendable ?? cause));
        }
    }

    private async Task WriteAsync()
    {
        try
        {
            await _orders.WriteToAsync(_call.RequestStream);
        }
        catch (Exception end) when (end is RpcException or InvalidOperationException or OperationCanceledException)
        {
            // The call has ended: the reading loop meets the same end, and tells it.
        }
        catch (Exception end)
        {
            _unsendable = end;
            _call.Dispose();
        }
    }

    private void Deal(BusFrames message)
    {
        foreach (var frame in message.Frames)
        {
            // Those that have left may have frames on their way.
            if (_attempts.TryGetValue(frame.Stream, out var attempt))
                attempt.Deliver(frame);
        }
        foreach (var end in message.Ends)
        {
            var failure = end.Status.IsEmpty ? null : LinkErrors.From(RpcStatus.Parser.ParseFrom(end.Status));
            if (!_attempts.TryRemove(end.Stream, out var attempt))
                continue;
            if (failure is null)
                attempt.Complete();
            else
                attempt.Fail(failure);
        }
        if (message.Offer != 0 && !_takeOffer())
            _orders.Decline(message.Offer);
        if (message.Beat)
        {
            foreach ((_, var attempt) in _attempts)
                attempt.Beat();
        }
    }
}
