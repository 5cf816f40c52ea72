using System.Globalization;

namespace Skein.Operations.Rollout;

internal enum GateState
{
    Watching,
    Passed,
    Failed,
}

/// <summary>
/// Passes when a gateway's error rate has stayed low for a period. A burst of errors restarts the period; after six periods the gate fails. Pure.
/// </summary>
internal sealed class ErrorRateGate(TimeSpan period, double maxRate, TimeSpan began)
{
    private const int MaxPeriods = 6;

    private readonly TimeSpan _deadline = began + (period * MaxPeriods);
    private CounterRow? _base;
    private TimeSpan _since = began;

    /// <summary>The last burst in words; empty if there was none.</summary>
    public string Burst { get; private set; } = "";

    public TimeSpan Left(TimeSpan now) => _since + period > now ? _since + period - now : TimeSpan.Zero;

    public GateState Observe(CounterRow counters, TimeSpan now)
    {
        // Errors before the first reading cannot be counted, and lower counters mean that the gateway restarted: the period begins here.
        if (_base is not { } start || counters.Requests < start.Requests || counters.Failed + counters.Faults < start.Failed + start.Faults)
        {
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
            return GateState.Passed;
        return now >= _deadline ? GateState.Failed : GateState.Watching;
    }
}
