using System.Globalization;
using Skein.Gateway.Admin;

namespace Skein.Operations.Fleet;

/// <summary>How a drain ended, or stands.</summary>
/// <param name="Name">The replica.</param>
/// <param name="Outcome"><c>drained</c>, <c>already_drained</c>, <c>timed_out</c> or <c>undrained</c>, <c>not_drained</c>.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="InFlight">Streams that still run there.</param>
/// <param name="Blocked">What was waited for last; null when nothing.</param>
public sealed record DrainOutcome(string Name, string Outcome, double Seconds, int InFlight, string? Blocked)
{
    public const string Drained = "drained";
    public const string AlreadyDrained = "already_drained";
    public const string TimedOut = "timed_out";
}

/// <summary>Waits until nothing runs on a replica that is being drained.</summary>
public sealed class DrainWait(FleetClient fleet, TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(200);

    /// <param name="name">The replica.</param>
    /// <param name="asked">The call that asked it to drain.</param>
    /// <param name="timeout">Longest wait; past it the replica goes on draining, and the outcome says what blocks it.</param>
    /// <param name="onProgress">Gets what it waits for, each time it has looked.</param>
    /// <param name="cancellationToken">Ends the wait, not the drain.</param>
    /// <exception cref="CommandFailedException">It died, started anew, or was taken back meanwhile.</exception>
    /// <exception cref="UsageException">The name is no replica's.</exception>
    public async Task<DrainOutcome> RunAsync(string name, Task<ReplicaRow> asked, TimeSpan timeout, Action<string> onProgress, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var first = await asked;
        if (first.InFlight == 0)
            return new DrainOutcome(name, first.Changed ? DrainOutcome.Drained : DrainOutcome.AlreadyDrained, 0, 0, null);
        var last = first;
        var blocked = first.Blocked;
        while (last.InFlight > 0)
        {
            if (time.GetElapsedTime(began) >= timeout)
                return new DrainOutcome(name, DrainOutcome.TimedOut, SecondsSince(began), last.InFlight, blocked);
            onProgress(blocked ?? "");
            await Task.Delay(Period, time, cancellationToken);
            try
            {
                last = await fleet.LookAsync(name, cancellationToken);
            }
            catch (GatewayRefusedException refused) when (refused.Status >= 500)
            {
                // Silent for the moment: it may answer again, and if it is dead the group says so.
                blocked = refused.Reason;
                continue;
            }
            catch (GatewayRefusedException refused)
            {
                throw new CommandFailedException($"{refused.Reason}; it did not finish its drain", refused);
            }
            if (last.Generation != first.Generation)
                throw new CommandFailedException($"{name} has started anew while it drained, and takes work");
            if (!last.Draining)
                throw new CommandFailedException($"{name} was taken back by an undrain while it drained");
            blocked = last.Blocked;
        }
        return new DrainOutcome(name, DrainOutcome.Drained, SecondsSince(began), 0, null);
    }

    /// <summary>Why a drain that timed out did.</summary>
    public static string Explain(DrainOutcome timedOut, TimeSpan timeout) => string.Create(
        CultureInfo.InvariantCulture, $"{timedOut.Name} is not drained after {timeout.TotalSeconds:0.#} s: {timedOut.Blocked}");

    private double SecondsSince(long began) => Math.Round(time.GetElapsedTime(began).TotalSeconds, 3);
}
