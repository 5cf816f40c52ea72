namespace Skein.Gateway.Api.Http;

/// <summary>
/// Timeout for the successive waits of one task, with one timer and no allocation per wait. <see cref="Token"/> is cancelled when the timeout
/// last armed expires, or when the client is gone.
/// </summary>
internal sealed class WaitLimit : IDisposable
{
    private readonly TimeProvider _time;
    private readonly CancellationToken _clientGone;
    private CancellationTokenSource _source;
    private CancellationTokenRegistration _registration;
    private volatile bool _clientWasFirst;

    public WaitLimit(TimeProvider time, CancellationToken clientGone)
    {
        _time = time;
        _clientGone = clientGone;
        _source = NewSource();
        Watch();
    }

    public CancellationToken Token => _source.Token;

    /// <summary>True if the timeout expired before the client was gone.</summary>
    public bool IsOver => _source.IsCancellationRequested && !_clientWasFirst;

    /// <summary>Starts the timeout of the next wait.</summary>
    public void Arm(TimeSpan limit)
    {
        // The last timeout may also have expired between the end of its wait and this call.
        if (IsOver)
        {
            Dispose();
            _source = NewSource();
            Watch();
        }

        _source.CancelAfter(limit);
    }

    public void Dispose()
    {
        _registration.Dispose();
        _source.Dispose();
    }

    private CancellationTokenSource NewSource() => new(Timeout.InfiniteTimeSpan, _time);

    private void Watch() => _registration = _clientGone.UnsafeRegister(static state => ((WaitLimit)state!).OnClientGone(), this);

    private void OnClientGone()
    {
        if (_source.IsCancellationRequested)
            return;
        _clientWasFirst = true;
        _source.Cancel();
    }
}
