using Skein.Protocol;

namespace Skein.Gateway.Telemetry;

/// <summary>How many requests ended, and how many of them badly, for those who watch a rolling update. Thread-safe; only rises.</summary>
internal sealed class RequestTally
{
    private long _ended;
    private long _failed;

    public long Ended => Interlocked.Read(ref _ended);

    /// <summary>Those that ended in an error that is not the client's; overload included.</summary>
    public long Failed => Interlocked.Read(ref _failed);

    /// <param name="outcome">One of <see cref="RequestOutcomes.All"/>.</param>
    public void Count(string outcome)
    {
        // Failed first: a reader between the two may see too many failures, never too few.
        if (FaultTable.IsFailureCode(outcome))
            Interlocked.Increment(ref _failed);
        Interlocked.Increment(ref _ended);
    }
}
