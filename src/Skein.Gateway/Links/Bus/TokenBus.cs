using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using RpcStatus = Google.Rpc.Status;

namespace Skein.Gateway.Links.Bus;

/// <summary>
/// One long-lived call to a replica that carries many attempts, see <c>Inference.Bus</c>. It ends when its channel is closed, or breaks together with all
/// its attempts. Thread-safe.
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

    /// <param name="takeOffer">Called when the replica offers a slot to this gateway; false declines it. Must return at once.</param>
    /// <exception cref="ObjectDisposedException">The channel is closed.</exception>
    public TokenBus(Inference.InferenceClient client, Func<bool> takeOffer)
    {
        _takeOffer = takeOffer;
        _call = client.Bus(new CallOptions());
        _ = ReadAsync();
        _ = WriteAsync();
    }

    public bool IsBroken => _broken;

    /// <summary>Why it broke. Set before <see cref="IsBroken"/>.</summary>
    public FaultException? Failure { get; private set; }

    /// <summary>Whether the replica is of an older release, without this call.</summary>
    public bool IsUnknown { get; private set; }

    /// <summary>Starts an attempt; false when the bus is broken.</summary>
    public bool TryStart(GenerateRequest request, CancellationToken cancellation, [NotNullWhen(true)] out BusAttempt? attempt)
    {
        attempt = new BusAttempt(this, Interlocked.Increment(ref _lastStream), request, cancellation);
        _attempts[attempt.Stream] = attempt;
        // Added first, then checked: if the bus breaks in between, either this check finds it, or the break ends the attempt.
        if (_broken && _attempts.TryRemove(attempt.Stream, out _))
        {
            attempt = null;
            return false;
        }
        attempt.WatchCancellation();
        _orders.Start(attempt);
        return true;
    }

    /// <summary>Returns credit for frames that were read.</summary>
    public void Credit(BusAttempt attempt, int bytes) => _orders.Credit(attempt, bytes);

    /// <summary>Removes an attempt whose session has stopped reading, and cancels it on the replica if it still runs.</summary>
    public void Leave(BusAttempt attempt)
    {
        if (_attempts.TryRemove(attempt.Stream, out _))
            _orders.Cancel(attempt);
    }

    private async Task ReadAsync()
    {
        var error = Fault.ConnectionLost;
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
            (error, message, cause) = (LinkFaults.OfConnection(end.Status.DebugException) ?? error, end.Status.Detail, end);
        }
        catch (OperationCanceledException end)
        {
            // A connection that could not be made, or was closed here, shows as a cancel; the status of the call may be more precise.
            _call.Dispose();
            var status = _call.GetStatus();
            var connectionError = status.DebugException ?? (_unsendable is null ? end : null);
            (error, message, cause) = (LinkFaults.OfConnection(connectionError) ?? error, status.Detail.Length > 0 ? status.Detail : end.Message, end);
        }
        catch (Exception end)
        {
            (message, cause) = ($"the replica sent what cannot be read: {end.Message}", end);
        }
        Failure = new FaultException(error, message, _unsendable ?? cause);
        _broken = true;
        _orders.Close();
        _call.Dispose();
        foreach ((var stream, var attempt) in _attempts)
        {
            if (_attempts.TryRemove(stream, out _))
                attempt.End(Failure);
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
            // The call has ended: the reading loop reports why.
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
            // Frames of attempts that were removed may still arrive.
            if (_attempts.TryGetValue(frame.Stream, out var attempt))
                attempt.Deliver(frame);
        }
        foreach (var end in message.Ends)
        {
            var failure = end.Status.IsEmpty ? null : LinkFaults.From(RpcStatus.Parser.ParseFrom(end.Status));
            if (_attempts.TryRemove(end.Stream, out var attempt))
                attempt.End(failure);
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
