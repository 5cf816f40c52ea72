using System.Globalization;

namespace Skein.Operations.Fleet;

/// <summary>Result of a drain or an undrain, as <c>--json</c> prints it.</summary>
/// <param name="Outcome"><c>drained</c>, <c>already_drained</c>, <c>timed_out</c>, <c>undrained</c> or <c>not_drained</c>.</param>
/// <param name="InFlight">Streams that still run on the replica.</param>
/// <param name="Blocked">What the drain was last waiting for; null if it was not waiting.</param>
public sealed record DrainOutcome(string Name, string Outcome, double Seconds, int InFlight, string? Blocked)
{
    public const string Drained = "drained";
    public const string AlreadyDrained = "already_drained";
    public const string TimedOut = "timed_out";
}

/// <summary>Waits until a draining replica is idle.</summary>
public sealed class DrainWait(GatewayClient gateway, TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(200);

    /// <summary>Polls the replica until no stream runs on it.</summary>
    /// <param name="drain">The call that started the drain.</param>
    /// <param name="timeout">Limit of the wait. When it expires the drain continues, and the outcome says what blocks it.</param>
    /// <param name="onProgress">Receives, at every poll, what the drain is waiting for.</param>
    /// <param name="cancellationToken">Ends the wait, not the drain.</param>
    /// <exception cref="CommandFailedException">The replica died, restarted or was undrained during the wait.</exception>
    /// <exception cref="UsageException">The group has no replica of this name.</exception>
    public async Task<DrainOutcome> RunAsync(
        string name, Task<ReplicaRow> drain, TimeSpan timeout, Action<string> onProgress, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var first = await drain;
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
                last = await gateway.ReplicaAsync(name, cancellationToken);
            }
            catch (GatewayRefusedException refused) when (refused.Status >= 500)
            {
                // The replica does not answer now. It may answer later; if it is dead, membership will report that.
                blocked = refused.Reason;
                continue;
            }
            catch (Exception error) when (error is UsageException or GatewayRefusedException)
            {
                var reason = error is GatewayRefusedException refused ? refused.Reason : error.Message;
                throw new CommandFailedException($"{reason}; it did not finish its drain", error);
            }
            if (last.Generation != first.Generation)
                throw new CommandFailedException($"{name} restarted during its drain and accepts requests again");
            if (!last.Draining)
                throw new CommandFailedException($"{name} was undrained during its drain");
            blocked = last.Blocked;
        }
        return new DrainOutcome(name, DrainOutcome.Drained, SecondsSince(began), 0, null);
    }

    /// <summary>One sentence that says why a drain timed out.</summary>
    public static string Explain(DrainOutcome timedOut, TimeSpan timeout) => string.Create(
        CultureInfo.InvariantCulture, $"{timedOut.Name} is not drained after {timeout.TotalSeconds:0.#} s: {timedOut.Blocked}");

    private double SecondsSince(long began) => Math.Round(time.GetElapsedTime(began).TotalSeconds, 3);
}
