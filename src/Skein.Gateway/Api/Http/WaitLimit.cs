namespace Skein.Gateway.Api.Http;

/// <summary>
/// Limits one wait after another of a single task, with one timer and no allocation per wait: <see cref="Token"/> cancels when the limit
/// last armed is over, or when the client is gone.
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

    /// <summary>The limit was over before the client went: a client may go because of it.</summary>
    public bool IsOver => _source.IsCancellationRequested && !_clientWasFirst;

    /// <summary>Sets the limit of the next wait, from now.</summary>
    public void Arm(TimeSpan limit)
    {
        // Also when the last limit ended between a wait's end and this call.
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
