using System.Buffers;
using Microsoft.AspNetCore.Http;
using Skein.Gateway.Telemetry;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Sends a session as server-sent events. All frames that have arrived go out in one flush, and no frame waits for the next. The headers are held
/// until the first token, so that an error before it gets its own status; after <see cref="ApiOptions.HeaderHold"/> they are sent with a comment,
/// and a comment follows after each <see cref="ApiOptions.KeepAlive"/> without a token.
/// </summary>
internal sealed class StreamedAnswer(
    HttpContext http, IApiDialect dialect, IGenerationSession session, IAnswerWriter writer, bool nameChoices, ApiOptions options, TimeProvider time,
    RequestMeasurement measurement) : IDisposable
{
    private readonly EventStream _stream = new(http, time, options.WriteTimeout);
    private readonly WaitLimit _quiet = new(time, http.RequestAborted);
    private long _lastSent = time.GetTimestamp();
    private bool _hasTokens;

    /// <exception cref="FaultException">The session failed and nothing was sent.</exception>
    /// <exception cref="StreamBrokenException">The session failed after the response had started. The client got an error event.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public async Task SendAsync()
    {
        try
        {
            await RelayAsync();
            writer.Complete(_stream.Output, session.Failovers.Count > 0 ? $": skein {FailoverReport.Write(session, nameChoices)}\n\n" : null);
            await FlushAsync();
        }
        catch (OperationCanceledException e) when (_stream.ClientIsStuck)
        {
            throw new StreamBrokenException(Fault.SlowClient.ToClientError().Code, e);
        }
        catch (Exception e) when (_stream.HasBegun && e is not OperationCanceledException && !http.RequestAborted.IsCancellationRequested)
        {
            var error = ApiError.From(e, http.TraceIdentifier);
            dialect.WriteErrorEvent(error, _stream.Output);
            await _stream.FlushBeforeFailureAsync();
            throw new StreamBrokenException(error.Code, e);
        }
    }

    public void Dispose() => _quiet.Dispose();

    private async Task RelayAsync()
    {
        while (true)
        {
            while (session.TryRead(out var frame))
            {
                measurement.Observe(frame);
                _hasTokens |= frame.Count > 0;
                if (!_stream.HasBegun && HasAnswer(frame))
                    await _stream.BeginAsync(session);
                writer.Write(frame, _stream.Output);
                if (_stream.HasBegun && _stream.IsFull)
                    await FlushAsync();
            }

            if (_stream.HasBegun && _stream.HasUnflushed)
                await FlushAsync();
            try
            {
                if (!await session.WaitToReadAsync(_quiet.Arm(QuietLeft())))
                    return;
            }
            catch (OperationCanceledException) when (_quiet.IsOver)
            {
                await CommentAsync();
            }
        }
    }

    /// <summary>False for a frame that only announces the start: an error may still follow it.</summary>
    private static bool HasAnswer(GenerateFrame frame) =>
        frame.Count > 0 || !frame.Text.IsEmpty || !frame.RawDelta.IsEmpty || frame.Finish is not null;

    private TimeSpan QuietLeft()
    {
        var left = (_stream.HasBegun ? options.KeepAlive : options.HeaderHold) - time.GetElapsedTime(_lastSent);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private async Task CommentAsync()
    {
        if (!_stream.HasBegun)
            await _stream.BeginAsync(session: null);
        _stream.Output.Write(_hasTokens ? ": keep-alive\n\n"u8 : ": waiting\n\n"u8);
        await FlushAsync();
    }

    private ValueTask FlushAsync()
    {
        _lastSent = time.GetTimestamp();
        return _stream.FlushAsync();
    }
}
