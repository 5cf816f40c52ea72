using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>How much replicas can serve when a request waits for every slot.</summary>
internal static class Saturation
{
    private const int MostRequests = 5000;

    public static double TokensOf(IEnumerable<TraceRequest> trace) => trace.Sum(request => (double)request.PromptTokens + request.AnswerTokens);

    /// <summary>Prompt and answer tokens per second, without prefix caches.</summary>
    public static double TokensPerSecond(IReadOnlyList<TraceRequest> trace, TraceLabSettings settings)
    {
        var time = new VirtualTime();
        LabEngine[] engines = [.. Enumerable.Range(0, settings.Replicas).Select(i => new LabEngine(settings.ModelOf(i) with { CacheBlocks = 0 }, time))];
        var slots = Enumerable.Range(0, settings.Replicas).Sum(i => settings.ModelOf(i).Slots);
        // Enough rounds that the slots' begin together does not matter.
        var count = Math.Max(Math.Min(trace.Count, MostRequests), 10 * slots);
        var next = 0;
        double tokens = 0;
        long emptyAt = 0;
        time.Run(() => Task.WhenAll(engines.SelectMany((engine, i) => Enumerable.Range(0, settings.ModelOf(i).Slots).Select(_ => ServeAsync(engine)))));
        foreach (var engine in engines)
            engine.Dispose();
        return tokens / TimeSpan.FromTicks(emptyAt).TotalSeconds;

        async Task ServeAsync(LabEngine engine)
        {
            while (next < count)
            {
                var request = trace[next++ % trace.Count];
                emptyAt = time.GetTimestamp();
                tokens += next > slots ? request.PromptTokens + request.AnswerTokens : 0;
                var sequence = engine.Submit(new LabRequest(next, request, TimeSpan.Zero), firstIndex: 0);
                while (!sequence.IsOver)
                    await sequence.WaitAsync(CancellationToken.None);
            }
        }
    }
}
