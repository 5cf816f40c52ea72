using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Sends a session as server-sent events. All frames that have arrived go out in one flush. The headers wait for the first token, so that an error before
/// it gets its own status. <see cref="ApiOptions.HeaderHold"/>, from when the request has left the queue, and <see cref="ApiOptions.KeepAlive"/> bound the time
/// without output.
/// </summary>
internal sealed class StreamedAnswer(
    HttpContext http, IGenerationSession session, IEventWriter writer, bool nameChoices, ApiOptions options, TimeProvider time,
    RequestMeasurement measurement)
{
    /// <summary>Longest time without headers, also for a request that waits in the queue: many clients and proxies give up after 60 s.</summary>
    private static readonly TimeSpan LongestHold = TimeSpan.FromSeconds(55);

    /// <summary>How soon it is noticed that a request has left the queue.</summary>
    private static readonly TimeSpan QueueCheck = TimeSpan.FromSeconds(1);

    private readonly EventStream _stream = new(http, time, options.WriteTimeout);
    private readonly bool _showsReplica = SkeinHeaders.WantsReplica(name => http.Request.Headers[name]);
    private readonly bool _isEarly = SkeinHeaders.WantsEarlyHeaders(name => http.Request.Headers[name]);
    private readonly long _startedAt = time.GetTimestamp();
    private long _lastSent = time.GetTimestamp();
    private bool _hasTokens;
    private string? _replica;

    /// <exception cref="FaultException">The session failed and nothing was sent.</exception>
    /// <exception cref="StreamBrokenException">The session failed after the response had started. The client got an error event.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public async Task SendAsync()
    {
        try
        {
            await RelayAsync();
            writer.Complete(_stream.Output, session.Failovers.Count > 0 ? $": skein {FailoverReport.Write(session, nameChoices)}\n" : null);
            await FlushAsync();
        }
        catch (OperationCanceledException e) when (_stream.ClientIsStuck)
        {
            throw new StreamBrokenException(Fault.SlowClient.ToClientError().Code, e);
        }
        catch (Exception e) when (_stream.HasBegun && e is not OperationCanceledException && !http.RequestAborted.IsCancellationRequested)
        {
            var error = ApiError.From(e, http.TraceIdentifier);
            writer.Fail(error, _stream.Output);
            await _stream.FlushBeforeFailureAsync();
            // The only faults here are those that the session ended with.
            throw new StreamBrokenException(error.Code, e, isLogged: e is FaultException);
        }
    }

    private async Task RelayAsync()
    {
        using var quiet = new WaitLimit(time, http.RequestAborted);
        while (true)
        {
            while (session.TryRead(out var frame))
            {
                measurement.Observe(frame);
                _hasTokens |= frame.Count > 0;
                if (!_stream.HasBegun && HasAnswer(frame))
                    await _stream.BeginAsync(session);
                if (_showsReplica && NewReplicaOf(frame) is { } replica)
                    _stream.Output.Write(replica);
                writer.Write(frame, _stream.Output);
                if (_stream.HasBegun && _stream.IsFull)
                    await FlushAsync();
            }

            if (_stream.HasBegun && _stream.HasUnflushed)
                await FlushAsync();
            try
            {
                if (!await session.WaitToReadAsync(quiet.Arm(QuietLeft())))
                    return;
            }
            catch (OperationCanceledException) when (quiet.IsOver)
            {
                if (QuietLeft() == TimeSpan.Zero)
                    await KeepAliveAsync();
            }
        }
    }

    /// <summary>The comment that names the replica of this frame and the following ones; null: the same as before, or the frame writes no event.</summary>
    private byte[]? NewReplicaOf(GenerateFrame frame)
    {
        if (frame.Replica.Length > 0)
            _replica = frame.Replica;
        if (_replica is null || !HasAnswer(frame))
            return null;
        var comment = Encoding.ASCII.GetBytes($": skein replica={VisibleText.Clean(_replica)}\n");
        _replica = null;
        return comment;
    }

    /// <summary>False for a frame that only announces the start: an error may still follow it.</summary>
    private static bool HasAnswer(GenerateFrame frame) =>
        frame.Count > 0 || !frame.Text.IsEmpty || !frame.RawDelta.IsEmpty || !frame.RawChoice.IsEmpty || !frame.RawChunk.IsEmpty || frame.Finish is not null;

    private TimeSpan QuietLeft()
    {
        if (_stream.HasBegun)
            return Later(options.KeepAlive - time.GetElapsedTime(_lastSent));
        if (_isEarly)
            return Later(options.HeaderHold - time.GetElapsedTime(_startedAt));
        var longest = Later(LongestHold - time.GetElapsedTime(_startedAt));
        if (session.IsQueued)
        {
            _lastSent = time.GetTimestamp();
            return longest < QueueCheck ? longest : QueueCheck;
        }
        var left = Later(options.HeaderHold - time.GetElapsedTime(_lastSent));
        return left < longest ? left : longest;
    }

    private static TimeSpan Later(TimeSpan left) => left > TimeSpan.Zero ? left : TimeSpan.Zero;

    private async Task KeepAliveAsync()
    {
        if (!_stream.HasBegun)
            await _stream.BeginAsync(session: null);
        writer.KeepAlive(_stream.Output, _hasTokens ? ": keep-alive\n"u8 : ": waiting\n"u8);
        await FlushAsync();
    }

    private ValueTask FlushAsync()
    {
        _lastSent = time.GetTimestamp();
        return _stream.FlushAsync();
    }
}

/// <summary>Timeout for the successive waits of one task, without allocation per wait unless one timed out. Not thread-safe.</summary>
internal sealed class WaitLimit(TimeProvider time, CancellationToken clientGone) : IDisposable
{
    private CancellationTokenSource? _source;
    private CancellationTokenRegistration _registration;

    /// <summary>True if the timeout of the last wait expired. False if the client is gone.</summary>
    public bool IsOver => _source is { IsCancellationRequested: true } && !clientGone.IsCancellationRequested;

    /// <summary>Starts the timeout of the next wait.</summary>
    /// <returns>Cancelled when the timeout expires or the client is gone.</returns>
    public CancellationToken Arm(TimeSpan timeout)
    {
        // The timeout of the last wait may also have expired after that wait had ended.
        if (_source is null or { IsCancellationRequested: true })
        {
            Dispose();
            _source = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
            _registration = clientGone.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
        }
        _source.CancelAfter(timeout);
        return _source.Token;
    }

    public void Dispose()
    {
        _registration.Dispose();
        _source?.Dispose();
    }
}
