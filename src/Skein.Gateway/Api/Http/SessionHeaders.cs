using System.Globalization;

namespace Skein.Gateway.Api.Http;

/// <summary>The response headers that describe a session.</summary>
internal static class SessionHeaders
{
    /// <param name="session">The session.</param>
    /// <param name="headers">Headers (HTTP) or metadata (gRPC).</param>
    /// <param name="add">Adds a name and a value to them.</param>
    public static void Write<THeaders>(IGenerationSession session, THeaders headers, Action<THeaders, string, string> add)
    {
        add(headers, SkeinHeaders.Attempts, session.Attempts.ToString(CultureInfo.InvariantCulture));
        if (session.Replica is { } replica)
            add(headers, SkeinHeaders.Replica, VisibleText.Clean(replica));
        if (session.ResumeTier.ToWireName() is { } tier)
            add(headers, SkeinHeaders.ResumeTier, tier);
    }
}
