using System.Globalization;
using System.Text;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api;

/// <summary>
/// Tells a client which changes of replica its stream went through, on one line:
/// <c>failovers=1 attempts=2 [token 17: replica-2 lost (link)]</c>.
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
            line.Append(CultureInfo.InvariantCulture, $"token {failover.TokenIndex}: {VisibleText.Clean(failover.From)} lost ({VisibleText.Clean(failover.Reason)})");
        }

        if (failovers.Count > MostSpelledOut)
            line.Append("; ...");
        if (failovers.Count > 0)
            line.Append(']');
        return line.ToString();
    }
}
