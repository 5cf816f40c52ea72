using System.Net;
using Skein.Engines.OpenAiCompatible.Wire;

namespace Skein.Engines.OpenAiCompatible.Metrics;

/// <summary>
/// Reads a server's load from the first of its sources that exists, at most about twice a second. A source that does not exist is not asked again.
/// Thread-safe.
/// </summary>
internal sealed class LoadScraper(EngineHttp http, IReadOnlyList<LoadSource> sources, TimeProvider time)
{
    private static readonly TimeSpan Freshness = TimeSpan.FromMilliseconds(500);
    private volatile Reading? _last;
    private volatile int _missing;

    /// <exception cref="FaultException">The server cannot be reached.</exception>
    public async ValueTask<EngineLoad> ReadAsync(CancellationToken cancellationToken)
    {
        if (_last is { } last && time.GetElapsedTime(last.Timestamp) < Freshness)
            return last.Load;

        for (var index = _missing; index < sources.Count; _missing = ++index)
        {
            var answer = await http.GetAsync(sources[index].Path, cancellationToken);
            if (answer.IsMissing)
                continue;

            var load = answer.Status == HttpStatusCode.OK ? Parse(sources[index], answer.Body) : EngineLoad.Unknown;
            _last = new Reading(time.GetTimestamp(), load);
            return load;
        }

        return EngineLoad.Unknown;
    }

    private static EngineLoad Parse(LoadSource source, byte[] body)
    {
        try
        {
            return source.Read(body);
        }
        catch (JsonException)
        {
            return EngineLoad.Unknown;
        }
    }

    private sealed record Reading(long Timestamp, EngineLoad Load);
}
