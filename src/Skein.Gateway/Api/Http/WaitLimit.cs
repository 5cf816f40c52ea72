namespace Skein.Gateway.Api.Http;

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
