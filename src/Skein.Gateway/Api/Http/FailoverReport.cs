using System.Globalization;
using System.Text;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Tells a client which changes of replica its stream went through, on one line:
/// <c>failovers=2 attempts=3 [token 17: replica-2 lost (link_stall); token 30: replica-1 moved (draining)]</c>.
/// </summary>
internal static class FailoverReport
{
    /// <summary>Failovers spelled out; the count tells of all.</summary>
    private const int MostSpelledOut = 16;

    public static string Write(IGenerationSession session, bool nameChoices)
    {
        var failovers = session.Failovers;
        var line = new StringBuilder();
        line.Append(CultureInfo.InvariantCulture, $"failovers={failovers.Count} attempts={session.Attempts}");
        for (var i = 0; i < failovers.Count && i < MostSpelledOut; i++)
        {
            var failover = failovers[i];
            line.Append(i == 0 ? " [" : "; ");
            if (nameChoices)
                line.Append(CultureInfo.InvariantCulture, $"choice {failover.Choice} ");
            line.Append(CultureInfo.InvariantCulture, $"token {failover.TokenIndex}: {VisibleText.Clean(failover.From)} {WordFor(failover.Reason)} ({VisibleText.Clean(failover.Reason)})");
        }

        if (failovers.Count > MostSpelledOut)
            line.Append("; ...");
        if (failovers.Count > 0)
            line.Append(']');
        return line.ToString();
    }

    /// <summary>Nothing was lost where the gateway took the stream from a replica that still worked.</summary>
    private static string WordFor(string reason) =>
        reason == FaultReason.Draining.ToWireName() || reason == FaultReason.Straggler.ToWireName() ? "moved" : "lost";
}
