namespace Skein.Simulation.Lab;

/// <summary>Collects what happens in one run.</summary>
internal sealed class LabFigures(IReadOnlyList<LabReplica> replicas)
{
    private static readonly int WindowSeconds = 60;

    private readonly List<(int Second, int Replica, LabRequest Request)> _dispatches = [];

    /// <summary>Attempts that a replica refused for lack of a slot.</summary>
    public int SlotRefusals { get; set; }

    public void Started(LabReplica replica, LabRequest request, TimeSpan now) => _dispatches.Add(((int)now.TotalSeconds, replica.Index, request));

    public PolicyFigures Summarize(string policy, IReadOnlyList<LabRequest> requests, TraceLabSettings settings, TimeSpan elapsed)
    {
        var done = requests.Where(request => request.FinishedAt is not null).ToList();
        var fastest = Enumerable.Range(0, settings.Replicas).Select(settings.ModelOf).MaxBy(model => model.Speed)!;
        double[] ttft = [.. done.Select(request => (request.FirstTokenAt!.Value - request.ArrivesAt).TotalMilliseconds).Order()];
        double[] waits = [.. done.Select(request => (request.StartedAt!.Value - request.ArrivesAt - LabLink.OneWay).TotalMilliseconds).Order()];
        double[] slowdowns =
        [
            .. done.Select(request => (request.FinishedAt!.Value - request.ArrivesAt) / fastest.Alone(request.Trace.PromptTokens, request.Trace.AnswerTokens))
                .Order(),
        ];
        double[] perToken =
        [
            .. done.Where(request => request.Trace.AnswerTokens > 1)
                .Select(request => (request.FinishedAt!.Value - request.FirstTokenAt!.Value).TotalMilliseconds / (request.Trace.AnswerTokens - 1)).Order(),
        ];
        var gaps = new WeightedTimes();
        foreach (var replica in replicas)
            gaps.Add(replica.Engine.TokenGaps);
        var prompts = Math.Max(1, done.Sum(request => (long)request.Trace.PromptTokens));
        double[] shares = [.. replicas.Select(replica => replica.Engine.ComputedTokens / settings.WeightOf(replica.Index))];
        return new PolicyFigures
        {
            Policy = policy,
            Requests = requests.Count,
            Completed = done.Count,
            Refused = requests.Count(request => request.Fault is not null && request.StartedAt is null),
            Lost = requests.Count(request => request.Fault is not null && request.StartedAt is not null),
            TtftP50Ms = Percentile(ttft, 50),
            TtftP99Ms = Percentile(ttft, 99),
            ItlP50Ms = gaps.PercentileMs(50),
            ItlP99Ms = gaps.PercentileMs(99),
            TpotP50Ms = Percentile(perToken, 50),
            TpotP99Ms = Percentile(perToken, 99),
            SlowdownMean = slowdowns.Length == 0 ? 0 : slowdowns.Average(),
            SlowdownP99 = Percentile(slowdowns, 99),
            Goodput = (double)done.Count(request => MeetsSlo(request, settings)) / requests.Count,
            TokensPerSecond = replicas.Sum(replica => replica.Engine.ComputedTokens) / Math.Max(1, elapsed.TotalSeconds),
            PrefixHitRatio = done.Sum(request => (long)request.CachedTokens) / (double)prompts,
            Jain = shares.Sum() * shares.Sum() / Math.Max(1, shares.Length * shares.Sum(share => share * share)),
            HotSpotRequests = HotSpot(_ => 1, settings),
            HotSpotWork = HotSpot(request => request.Trace.PromptTokens - request.CachedTokens + request.Trace.AnswerTokens, settings),
            QueueP50Ms = Percentile(waits, 50),
            QueueP99Ms = Percentile(waits, 99),
            SlotRefusals = SlotRefusals,
        };
    }

    private static bool MeetsSlo(LabRequest request, TraceLabSettings settings)
    {
        var ttft = request.FirstTokenAt!.Value - request.ArrivesAt;
        var rest = request.FinishedAt!.Value - request.FirstTokenAt.Value;
        return ttft <= settings.SloTtft && rest <= settings.SloItl * Math.Max(1, request.Trace.AnswerTokens - 1);
    }

    private static double Percentile(double[] sorted, double percentile) =>
        sorted.Length == 0 ? 0 : sorted[Math.Clamp((int)Math.Ceiling(sorted.Length * percentile / 100) - 1, 0, sorted.Length - 1)];

    /// <summary>
    /// The most that any replica was given within any minute, relative to what it may be given: 1.25 times its share by weight, or its share and four requests,
    /// if that is more. Null: no minute is full.
    /// </summary>
    private double? HotSpot(Func<LabRequest, double> workOf, TraceLabSettings settings)
    {
        if (_dispatches.Count == 0)
            return null;
        var weights = replicas.Select(replica => settings.WeightOf(replica.Index)).ToArray();
        var allWeights = weights.Sum();
        var perRequest = _dispatches.Average(dispatch => workOf(dispatch.Request));
        var work = new double[replicas.Count];
        var total = 0.0;
        double? worst = null;
        var oldest = 0;
        for (var i = 0; i < _dispatches.Count; i++)
        {
            (var second, var replica, var request) = _dispatches[i];
            work[replica] += workOf(request);
            total += workOf(request);
            for (; _dispatches[oldest].Second <= second - WindowSeconds; oldest++)
            {
                work[_dispatches[oldest].Replica] -= workOf(_dispatches[oldest].Request);
                total -= workOf(_dispatches[oldest].Request);
            }
            // Before the first window is full, its mean says little.
            if (second < WindowSeconds)
                continue;
            var share = total * weights[replica] / allWeights;
            worst = Math.Max(worst ?? 0, work[replica] / Math.Max(1.25 * share, share + (4 * perRequest)));
        }
        return worst;
    }
}
