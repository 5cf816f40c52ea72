namespace Skein.Gateway.Api.Http;

/// <summary>
/// Describes the failovers of a stream to its client, on one line:
/// <c>failovers=2 attempts=3 [token 17: replica-2 lost (link_stall); token 30: replica-1 moved (draining)]</c>.
/// </summary>
internal static class FailoverReport
{
    /// <summary>Failovers listed in detail. The count covers all.</summary>
    private const int MaxListed = 16;

    /// <param name="session">A session with failovers.</param>
    public static string Write(IGenerationSession session, bool nameChoices)
    {
        var failovers = session.Failovers;
        var listed = string.Join("; ", failovers.Take(MaxListed).Select(failover => Describe(failover, nameChoices)));
        var more = failovers.Count > MaxListed ? "; ..." : "";
        return FormattableString.Invariant($"failovers={failovers.Count} attempts={session.Attempts} [{listed}{more}]");
    }

    private static string Describe(Failover failover, bool nameChoice)
    {
        // "moved": the gateway took the stream from a replica that still worked.
        var verb = failover.Reason == Fault.Draining.ToWireName() || failover.Reason == Fault.Straggler.ToWireName() ? "moved" : "lost";
        var choice = nameChoice ? FormattableString.Invariant($"choice {failover.Choice} ") : "";
        return FormattableString.Invariant(
            $"{choice}token {failover.TokenIndex}: {VisibleText.Clean(failover.From)} {verb} ({VisibleText.Clean(failover.Reason)})");
    }
}
