using System.Globalization;
using System.Text;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Describes the failovers of a stream to its client, on one line:
/// <c>failovers=2 attempts=3 [token 17: replica-2 lost (link_stall); token 30: replica-1 moved (draining)]</c>.
/// </summary>
internal static class FailoverReport
{
    /// <summary>Failovers listed in detail. The count covers all.</summary>
    private const int MaxListed = 16;

    public static string Write(IGenerationSession session, bool nameChoices)
    {
        var failovers = session.Failovers;
        var line = new StringBuilder();
        line.Append(CultureInfo.InvariantCulture, $"failovers={failovers.Count} attempts={session.Attempts}");
        for (var i = 0; i < failovers.Count && i < MaxListed; i++)
        {
            var failover = failovers[i];
            line.Append(i == 0 ? " [" : "; ");
            if (nameChoices)
                line.Append(CultureInfo.InvariantCulture, $"choice {failover.Choice} ");
            line.Append(CultureInfo.InvariantCulture, $"token {failover.TokenIndex}: {VisibleText.Clean(failover.From)} ");
            line.Append(CultureInfo.InvariantCulture, $"{Verb(failover.Reason)} ({VisibleText.Clean(failover.Reason)})");
        }

        if (failovers.Count > MaxListed)
            line.Append("; ...");
        if (failovers.Count > 0)
            line.Append(']');
        return line.ToString();
    }

    /// <summary>"moved" if the gateway took the stream from a replica that still worked.</summary>
    private static string Verb(string reason) =>
        reason == Fault.Draining.ToWireName() || reason == Fault.Straggler.ToWireName() ? "moved" : "lost";
}
