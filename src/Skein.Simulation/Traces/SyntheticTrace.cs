namespace Skein.Simulation.Traces;

/// <summary>
/// Generates a trace: Poisson arrivals, log-normal lengths, and conversations whose turns repeat what was said before, all with the same system prompt.
/// Equal settings give equal traces.
/// </summary>
public sealed record SyntheticTrace
{
    /// <summary>Requests per second. Above 0; default 10.</summary>
    public double Rate { get; init; } = 10;

    /// <summary>Length of the trace. Default 10 min.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Mean tokens of one turn's own text. Default 512.</summary>
    public int TurnTokens { get; init; } = 512;

    /// <summary>Mean tokens of an answer. Default 256.</summary>
    public int AnswerTokens { get; init; } = 256;

    /// <summary>Tokens of the system prompt that all requests share. Default 1,024.</summary>
    public int SystemTokens { get; init; } = 1024;

    /// <summary>Mean turns of a conversation. At least 1; default 4.</summary>
    public double Turns { get; init; } = 4;

    public ulong Seed { get; init; } = 1;

    public IReadOnlyList<TraceRequest> Generate()
    {
        IRandomSource random = new SeededRandomSource(Seed);
        var requests = new List<TraceRequest>();
        var open = new List<List<int>>();
        var nextBlock = 0;
        int[] system = [.. Enumerable.Range(0, SystemTokens / TraceRequest.BlockTokens).Select(_ => nextBlock++)];
        for (var at = TimeSpan.Zero; at < Duration; at += Exponential(random, 1 / Rate))
        {
            var isNew = open.Count == 0 || Unit(random) < 1 / Turns;
            var index = isNew ? open.Count : random.Next(open.Count);
            if (isNew)
                open.Add([.. system]);
            var blocks = open[index];
            var own = LogNormal(random, TurnTokens);
            for (var i = 0; i <= own / TraceRequest.BlockTokens; i++)
                blocks.Add(nextBlock++);
            var answer = LogNormal(random, AnswerTokens);
            requests.Add(new TraceRequest(at, blocks.Count * TraceRequest.BlockTokens, answer, [.. blocks]));
            for (var i = 0; i < answer / TraceRequest.BlockTokens; i++)
                blocks.Add(nextBlock++);
            if (Unit(random) < 1 / Turns)
                open.RemoveAt(index);
        }
        return requests;
    }

    private static double Unit(IRandomSource random) => ((random.NextUInt64() >> 11) + 0.5) / (1L << 53);

    private static TimeSpan Exponential(IRandomSource random, double meanSeconds) => TimeSpan.FromSeconds(meanSeconds * -Math.Log(Unit(random)));

    /// <summary>With a standard deviation of 0.8 in the logarithm, about that of the Azure conversations.</summary>
    private static int LogNormal(IRandomSource random, double mean)
    {
        const double Deviation = 0.8;
        var normal = Math.Sqrt(-2 * Math.Log(Unit(random))) * Math.Cos(2 * Math.PI * Unit(random));
        return Math.Clamp((int)(mean * Math.Exp((Deviation * normal) - (Deviation * Deviation / 2))), 1, 1_000_000);
    }
}
