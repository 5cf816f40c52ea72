using Skein.Engines;
using Skein.Protocol;

namespace Skein.Cli.Upstreams;

/// <summary>Decides from the checks of one upstream when its server is gone. Not thread-safe.</summary>
/// <param name="enginePatience">How long the server may be silent while streams run on it.</param>
internal sealed class UpstreamChecks(TimeSpan enginePatience)
{
    /// <summary>Failed checks in a row that take a server out which can be reached: one may be due to load.</summary>
    private const int MostMisses = 2;

    private static readonly TimeSpan LeastPatience = TimeSpan.FromSeconds(5);

    private int _misses;

    /// <summary>How long a check may take.</summary>
    public TimeSpan Patience { get; } = enginePatience > LeastPatience ? enginePatience : LeastPatience;

    /// <summary>The server said that it can serve.</summary>
    public void Passed() => _misses = 0;

    /// <param name="error">What a check ended with.</param>
    /// <param name="isBusy">
    /// Whether anything runs there. Then silence says nothing here: its replica asks more often, knows whether tokens come, and ends the streams when it has
    /// given the server up.
    /// </param>
    /// <returns>Whether the server is gone.</returns>
    public bool Failed(Fault error, bool isBusy)
    {
        if (error is Fault.Unreachable or Fault.ModelNotFound)
            return true;
        if (error != Fault.EngineTimedOut || !isBusy)
            _misses++;
        return _misses == MostMisses;
    }
}
