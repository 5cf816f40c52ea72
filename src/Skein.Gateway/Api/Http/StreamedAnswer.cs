using System.Buffers;
using System.Text;
using Microsoft.AspNetCore.Http;
using Skein.Gateway.Telemetry;
using Skein.Protocol.V1;
using Skein.Routing.Streaming;

using Skein.Gateway.Api.OpenAi.Answers;
using Skein.Gateway.Api.OpenAi.Requests;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// IndirectProbes a session as server-sent events: whatever frames are there go out in one flush, and nothing waits for the next. Headers are held
/// until the first token, so that an error before it gets its real status; after <see cref="ApiOptions.HeaderHold"/> comments keep the
/// client company.
/// </summary>
internal sealed class StreamedAnswer(
    HttpContext http, IGenerationSession session, AnswerPlan plan, ApiOptions options, TimeProvider time, RequestMeasurement measurement) : IDisposable
{
    private readonly ChunkWriter _chunks = new(plan, session.Id);
    private readonly EventStream _stream = new(http, time, options.WriteTimeout);
    private readonly WaitLimit _quiet = new(time, http.RequestAborted);
    private long _lastSent = time.GetTimestamp();
    private bool _hasTokens;

    /// <exception cref="SessionException">The session failed and nothing was sent yet.</exception>
    /// <exception cref="StreamBrokenException">The session failed in mid-stream, and the client was told.</exception>
    /// <exception cref="OperationCanceledException">The client is gone.</exception>
    public async Task SendAsync()
    {
        try
        {
            await RelayAsync();
            await EndAsync();
        }
        catch (OperationCanceledException e) when (_stream.ClientIsStuck)
        {
            throw new StreamBrokenException(SessionErrors.Face(SessionError.SlowClient).Code, e);
        }
        catch (Exception e) when (_stream.HasBegun && e is not OperationCanceledException && !http.RequestAborted.IsCancellationRequested)
        {
            var error = e is SessionException failure ? ApiError.From(failure) : ApiError.Internal(http.TraceIdentifier);
            await TellAsync(error);
            throw new StreamBrokenException(error.Code, e);
        }
    }

    public void Dispose()
    {
        _quiet.Dispose();
        _stream.Dispose();
    }

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
                _chunks.Write(frame, _stream.Output);
                if (_stream.HasBegun && _stream.IsFull)
                    await FlushAsync();
            }

            if (_stream.HasBegun && _stream.HasUnflushed)
                await FlushAsync();
            try
            {
                _quiet.Arm(QuietLeft());
                if (!await session.WaitToReadAsync(_quiet.Token))
                    return;
            }
            catch (OperationCanceledException) when (_quiet.IsOver)
            {
                await CommentAsync();
            }
        }
    }

    /// <summary>More than the start frame, which may yet be followed by an error.</summary>
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

    private async Task EndAsync()
    {
        _chunks.WriteUsage(_stream.Output);
        if (session.Failovers.Count > 0)
            _stream.Output.Write(Encoding.ASCII.GetBytes($": skein {FailoverReport.Write(session, nameChoices: plan.Choices > 1)}\n\n"));
        _stream.Output.Write("data: [DONE]\n\n"u8);
        await FlushAsync();
    }

    private async Task TellAsync(ApiError error)
    {
        _stream.Output.Write("data: "u8);
        error.Write(_stream.Output);
        _stream.Output.Write("\n\n"u8);
        await _stream.FlushBeforeFailureAsync();
    }

    private ValueTask FlushAsync()
    {
        _lastSent = time.GetTimestamp();
        return _stream.FlushAsync();
    }
}
