using System.Net.Sockets;

namespace Skein.Engines.OpenAiCompatible.Wire;

/// <summary>Timeout and cancellation of one HTTP call, whose failures become <see cref="FaultException"/>.</summary>
internal sealed class EngineCall : IDisposable
{
    private readonly string _engine;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _source = new();
    private readonly CancellationTokenRegistration _registration;
    private readonly Lock _gate = new();
    private readonly ITimer _timer;
    private TimeSpan _limit;
    private long _restartedAt;

    public EngineCall(string engine, TimeSpan timeout, TimeProvider time, CancellationToken caller)
    {
        (_engine, _timeout, _limit, _time, _caller) = (engine, timeout, timeout, time, caller);
        _restartedAt = time.GetTimestamp();
        _timer = time.CreateTimer(static call => ((EngineCall)call!).OnTimer(), this, timeout, Timeout.InfiniteTimeSpan);
        _registration = caller.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _source);
    }

    /// <summary>Cancelled by the caller and by the timeout.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>Whether <see cref="Translate"/> handles the exception.</summary>
    public static bool IsFailure(Exception exception) =>
        exception is OperationCanceledException or HttpRequestException or IOException or SocketException or JsonException;

    /// <summary>Whether the caller cancelled.</summary>
    public bool IsCancelled => _caller.IsCancellationRequested;

    /// <summary>Starts the timeout anew. Costs a timestamp: the timer itself is set again only when it fires.</summary>
    public void RestartTimeout() => Volatile.Write(ref _restartedAt, _time.GetTimestamp());

    /// <summary>Replaces the rest of the timeout.</summary>
    public void CancelAfter(TimeSpan rest)
    {
        lock (_gate)
        {
            _limit = rest;
            RestartTimeout();
            _timer.Change(rest, Timeout.InfiniteTimeSpan);
        }
    }

    /// <exception cref="FaultException">The call failed.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async Task<T> RunAsync<T>(Task<T> call)
    {
        try
        {
            return await call;
        }
        catch (Exception exception) when (IsFailure(exception))
        {
            throw Translate(exception);
        }
    }

    public Exception Translate(Exception exception) => exception switch
    {
        JsonException => new FaultException(Fault.EngineFailed, $"{_engine} sent an event that is not JSON", exception),
        _ when _caller.IsCancellationRequested => new OperationCanceledException("cancelled by the caller", exception, _caller),
        // A timeout of connecting arrives as a cancellation with this inner exception.
        OperationCanceledException { InnerException: TimeoutException cause } => Unreachable(cause, exception),
        OperationCanceledException => new FaultException(Fault.EngineTimedOut, $"{_engine} sent nothing for {_timeout.TotalSeconds:0.#} s", exception),
        // HttpClient passes it on when the connection is reset while it is made.
        SocketException => Unreachable(exception, exception),
        // Only the inner exception says what is wrong with the certificate.
        HttpRequestException { HttpRequestError: HttpRequestError.SecureConnectionError, InnerException: { } cause } => Unreachable(cause, exception),
        HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
        } => Unreachable(exception, exception),
        _ => new FaultException(Fault.ConnectionLost, $"{_engine} broke the connection: {exception.GetBaseException().Message}", exception),
    };

    public void Dispose()
    {
        _registration.Dispose();
        _timer.Dispose();
        _source.Dispose();
    }

    private void OnTimer()
    {
        try
        {
            lock (_gate)
            {
                var left = _limit - _time.GetElapsedTime(Volatile.Read(ref _restartedAt));
                if (left > TimeSpan.Zero)
                {
                    _timer.Change(left, Timeout.InfiniteTimeSpan);
                    return;
                }
            }

            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The call ended while the timer fired.
        }
    }

    private FaultException Unreachable(Exception cause, Exception exception) =>
        new(Fault.Unreachable, $"{_engine} cannot be reached: {cause.Message}", exception);
}
