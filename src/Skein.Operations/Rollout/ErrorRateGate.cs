using System.Globalization;
using Skein.Gateway.Admin;

namespace Skein.Operations.Rollout;

/// <summary>What is known of the error rate since a replica came back.</summary>
internal enum Calm
{
    /// <summary>Not long enough yet.</summary>
    Watching,

    /// <summary>Low for long enough.</summary>
    Reached,

    /// <summary>Too high, again and again.</summary>
    Missed,
}

/// <summary>
/// Watches a gateway's counters until they have been calm for long enough: each burst of errors begins the watch anew, six watches long. Pure.
/// </summary>
/// <param name="calm">How long the rate must stay low.</param>
/// <param name="maxRate">Most errors per ended request.</param>
/// <param name="began">When the replica came back.</param>
internal sealed class ErrorRateGate(TimeSpan calm, double maxRate, TimeSpan began)
{
    private const int Watches = 6;

    private readonly TimeSpan _patienceEnds = began + (calm * Watches);
    private CounterRow? _base;
    private TimeSpan _since = began;

    /// <summary>The last burst, in words; empty: there was none.</summary>
    public string Burst { get; private set; } = "";

    /// <summary>How long it must still stay calm.</summary>
    public TimeSpan Left(TimeSpan now) => _since + calm > now ? _since + calm - now : TimeSpan.Zero;

    public Calm Count(CounterRow counters, TimeSpan now)
    {
        // Lower than before: the gateway has started anew.
        if (_base is not { } start || counters.Requests < start.Requests || counters.Failed + counters.Faults < start.Failed + start.Faults)
        {
            // What happened between the return of the replica and the first look cannot be told: the watch begins here.
            (_base, _since) = (counters, now);
        }
        else
        {
            var errors = counters.Failed - start.Failed + (counters.Faults - start.Faults);
            var ended = Math.Max(counters.Requests - start.Requests, errors);
            if (errors > maxRate * ended)
            {
                Burst = string.Create(CultureInfo.InvariantCulture, $"{errors} errors in {ended} requests");
                (_base, _since) = (counters, now);
            }
        }
        if (Left(now) == TimeSpan.Zero)
            return Calm.Reached;
        return now >= _patienceEnds ? Calm.Missed : Calm.Watching;
    }
}
