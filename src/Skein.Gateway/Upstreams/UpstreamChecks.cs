
namespace Skein.Gateway.Upstreams;

/// <summary>Decides from the checks of one upstream when its server is gone. Not thread-safe.</summary>
/// <param name="engineTimeout">How long the server may be silent while streams run on it.</param>
internal sealed class UpstreamChecks(TimeSpan engineTimeout)
{
    /// <summary>Failed checks in a row that take out a server that can be reached: a single one may be due to load.</summary>
    private const int MostMisses = 2;

    private static readonly TimeSpan LeastTimeout = TimeSpan.FromSeconds(5);

    private int _misses;

    public TimeSpan CheckTimeout { get; } = engineTimeout > LeastTimeout ? engineTimeout : LeastTimeout;

    /// <summary>The server can serve.</summary>
    public void Passed() => _misses = 0;

    /// <param name="isBusy">
    /// Whether streams run there. Then a timeout proves nothing: the liveness monitor checks more often, sees the tokens, and ends the streams when the server
    /// is frozen.
    /// </param>
    /// <param name="wasLate">Whether this process did not run for a part of the check: a timeout is then its own.</param>
    /// <returns>Whether the server is gone. One that only answers late is better than none.</returns>
    public bool Failed(Fault error, bool isBusy, bool wasLate = false)
    {
        if (error is Fault.Unreachable or Fault.ModelNotFound)
            return true;
        if (error != Fault.EngineTimedOut || !(isBusy || wasLate))
            _misses++;
        return _misses >= MostMisses;
    }
}
