namespace Skein.Gateway.Api.OpenAi.Answers;

/// <summary>
/// Limits one wait after another of a single task, with one timer and no allocation per wait: <see cref="Token"/> cancels when the limit
/// last armed is over, or when the client is gone.
/// </summary>
internal sealed class QuietLimit : IDisposable
{
    private readonly TimeProvider _time;
    private readonly CancellationToken _clientGone;
    private CancellationTokenSource _source;
    private CancellationTokenRegistration _registration;

    public QuietLimit(TimeProvider time, CancellationToken clientGone)
    {
        _time = time;
        _clientGone = clientGone;
        _source = Renew();
    }

    public CancellationToken Token => _source.Token;

    /// <summary>The limit is over, and the client is still there.</summary>
    public bool IsOver => _source.IsCancellationRequested && !_clientGone.IsCancellationRequested;

    /// <summary>Sets the limit of the next wait, from now.</summary>
    public void Arm(TimeSpan limit)
    {
        // Also when the last limit ended between a wait's end and this call.
        if (IsOver)
        {
            Dispose();
            _source = Renew();
        }

        _source.CancelAfter(limit);
    }

    public void Dispose()
    {
        _registration.Dispose();
        _source.Dispose();
    }

    private CancellationTokenSource Renew()
    {
        var source = new CancellationTokenSource(Timeout.InfiniteTimeSpan, _time);
        _registration = _clientGone.UnsafeRegister(static state => ((CancellationTokenSource)state!).Cancel(), source);
        return source;
    }
}
