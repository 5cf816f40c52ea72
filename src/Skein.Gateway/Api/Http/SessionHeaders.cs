using System.Globalization;
using Microsoft.AspNetCore.Http;
using Skein.Routing.Streaming;

namespace Skein.Gateway.Api.Http;

/// <summary>What a response's headers tell of its session.</summary>
internal static class SessionHeaders
{
    public static void Write(IHeaderDictionary headers, IGenerationSession session)
    {
        headers[SkeinHeaders.Attempts] = session.Attempts.ToString(CultureInfo.InvariantCulture);
        if (session.Replica is { } replica)
            headers[SkeinHeaders.Replica] = VisibleText.Clean(replica);
        if (SkeinHeaders.Name(session.ResumeTier) is { } tier)
            headers[SkeinHeaders.ResumeTier] = tier;
    }
}
