using System.Net.ServerSentEvents;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>
/// The events of one answer, up to <c>[DONE]</c> or the end of the body. Disposed before <see cref="Complete"/>, it closes the connection, which stops the
/// engine. Not safe for concurrent use.
/// </summary>
/// <typeparam name="T">What an event is read as; null stands for <c>[DONE]</c>.</typeparam>
internal sealed class EngineStream<T> : IAsyncDisposable
    where T : struct
{
    // Time limit: the end of the body normally follows the last event at once.
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(1);

    private readonly HttpResponseMessage _response;
    private readonly Stream _body;
    private readonly EngineCall _call;
    private readonly TimeProvider _time;
    private readonly IAsyncEnumerator<SseItem<T?>> _events;
    private bool _isComplete;

    /// <summary>Takes over the response and the call, and disposes them.</summary>
    public EngineStream(HttpResponseMessage response, Stream body, SseItemParser<T?> parse, EngineCall call, TimeProvider time)
    {
        (_response, _body, _call, _time) = (response, body, call, time);
        _events = SseParser.Create(body, parse).EnumerateAsync(call.Token).GetAsyncEnumerator(call.Token);
    }

    public T Current { get; private set; }

    /// <summary>Reads the next event; false at the end.</summary>
    /// <exception cref="FaultException">The server failed, fell silent, or sent an error.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<bool> MoveNextAsync()
    {
        try
        {
            if (!await _events.MoveNextAsync() || _events.Current.Data is not { } data)
            {
                _isComplete = true;
                return false;
            }

            _call.RestartTimeout();
            Current = data;
            return true;
        }
        catch (Exception exception) when (EngineCall.IsFailure(exception))
        {
            throw _call.Translate(exception);
        }
    }

    /// <summary>Marks the answer as complete: the rest of the body is read, and the connection is kept.</summary>
    public void Complete() => _isComplete = true;

    public async ValueTask DisposeAsync()
    {
        await _events.DisposeAsync();
        _call.Dispose();
        if (!_isComplete)
        {
            _response.Dispose();
            return;
        }

        // Not awaited: the end of the answer does not wait for the end of the body.
        _ = DrainAsync();
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
