namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Reads one event; null stands for <c>[DONE]</c>.</summary>
/// <param name="type">The type of the event: <c>message</c> or <c>error</c>.</param>
/// <exception cref="JsonException">It is not JSON.</exception>
/// <exception cref="FaultException">It is an error.</exception>
internal delegate T? EventParser<T>(string type, ReadOnlySpan<byte> data)
    where T : struct;

/// <summary>
/// The events of one answer, up to <c>[DONE]</c> or the end of the body. Disposed before <see cref="Complete"/>, it closes the connection, which stops the
/// engine. Not safe for concurrent use.
/// </summary>
/// <typeparam name="T">What an event is read as.</typeparam>
internal sealed class EngineStream<T> : IAsyncDisposable
    where T : struct
{
    private const string EventStreamType = "text/event-stream";

    // Time limit: the end of the body normally follows the last event at once.
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(1);

    // A server may send its comments, or one event, byte by byte.
    private static readonly TimeSpan BytesInterval = TimeSpan.FromSeconds(1);

    private readonly HttpResponseMessage _response;
    private readonly Stream _body;
    private readonly EventReader _events;
    private readonly EventParser<T> _parse;
    private readonly EngineCall _call;
    private readonly TimeProvider _time;
    private long _lastStep;
    private bool _hasEvents;
    private bool _isComplete;
    private bool _isAnswered;

    /// <summary>Takes over the response and the call, and disposes them.</summary>
    public EngineStream(HttpResponseMessage response, Stream body, EventParser<T> parse, EngineCall call, TimeProvider time)
    {
        (_response, _body, _parse, _call, _time) = (response, body, parse, call, time);
        _events = new EventReader();
        _lastStep = time.GetTimestamp();
    }

    public T Current { get; private set; }

    /// <summary>The type of a body that had no event, if it is not that of an event stream; else null. At most 100 characters.</summary>
    public string? OtherMediaType =>
        !_hasEvents && _response.Content.Headers.ContentType?.MediaType is { Length: <= 100 } type && type != EventStreamType ? type : null;

    /// <summary>Whether <c>[DONE]</c> ended the stream, and not the end of the body.</summary>
    public bool IsDone { get; private set; }

    /// <summary>Reads the next event. Of bytes without an event only one step a second is returned.</summary>
    /// <exception cref="FaultException">The server failed, fell silent, or sent an error.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<EventStep> MoveNextAsync()
    {
        try
        {
            while (true)
            {
                var step = _events.TryNext() ?? _events.Received(await _body.ReadAsync(_events.Room(), _call.Token));
                if (step == EventStep.End)
                    return End();

                if (!_isAnswered)
                    _call.RestartTimeout();

                if (step == EventStep.Event ? !TryRead() : _time.GetElapsedTime(_lastStep) < BytesInterval)
                    continue;

                _lastStep = _time.GetTimestamp();
                return IsDone ? End() : step;
            }
        }
        catch (Exception exception) when (_isAnswered && !_call.IsCancelled && (exception is FaultException || EngineCall.IsFailure(exception)))
        {
            // What follows the end of the answer is no fault of it. The connection is closed.
            return EventStep.End;
        }
        catch (Exception exception) when (EngineCall.IsFailure(exception))
        {
            throw _call.Translate(exception);
        }
    }

    /// <summary>Marks the answer as complete: the rest of the body is read, and the connection is kept.</summary>
    public void Complete() => _isComplete = true;

    /// <summary>The answer has ended: from now on the stream ends after this time at the latest, and nothing in it is a fault.</summary>
    public void EndWithin(TimeSpan rest)
    {
        if (!_isAnswered)
            _call.CancelAfter(rest);

        _isAnswered = true;
    }

    public ValueTask DisposeAsync()
    {
        _call.Dispose();
        // Not awaited: the end of the answer does not wait for the end of the body.
        if (_isComplete)
            _ = DrainAsync();
        else
            _response.Dispose();

        return ValueTask.CompletedTask;
    }

    private EventStep End()
    {
        _isComplete = true;
        return EventStep.End;
    }

    // False for an event without data, which servers send as a sign of life.
    private bool TryRead()
    {
        var data = _events.Data.Trim(" \t\r\n"u8);
        if (data.IsEmpty && _events.Type != "error")
            return false;

        _hasEvents = true;
        if (_parse(_events.Type, data) is { } read)
            Current = read;
        else
            IsDone = true;

        return true;
    }

    private async Task DrainAsync()
    {
        using (_response)
        {
            using var timeout = new CancellationTokenSource(DrainTimeout, _time);
            var buffer = new byte[256];
            try
            {
                while (await _body.ReadAsync(buffer, timeout.Token) > 0)
                {
                    // Bytes after the last event have no meaning.
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The answer is complete. The connection is closed instead of kept.
            }
        }
    }
}
