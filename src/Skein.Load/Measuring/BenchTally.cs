namespace Skein.Load.Measuring;

/// <summary>Counts the results of requests. Safe for concurrent calls.</summary>
internal sealed class BenchTally(TimeProvider time)
{
    // Kinds contain codes from servers, so their number is limited.
    private const int MaxKinds = 64;
    private const int MaxExamples = 5;
    private const int MaxExampleChars = 300;

    private readonly Lock _gate = new();
    private readonly long _start = time.GetTimestamp();
    private readonly SortedDictionary<string, int> _errors = new(StringComparer.Ordinal);
    private readonly List<string> _examples = [];
    private int _failed;
    private long _tokens;
    private bool _tokensAreChunks;
    private int _failovers;
    private int _streamsFailedOver;

    public LatencyRecorder Latencies { get; } = new();

    public IReadOnlyList<string> Examples => _examples;

    public int Succeeded { get; private set; }

    public void Add(AnswerRecorder answer, BenchRequestException? error)
    {
        lock (_gate)
        {
            _tokens += answer.Tokens;
            _tokensAreChunks |= answer.Tokens > 0 && !answer.HasUsage;
            _failovers += answer.Failovers;
            _streamsFailedOver += answer.Failovers > 0 ? 1 : 0;
            if (error is null)
            {
                Succeeded++;
                return;
            }

            _failed++;
            var kind = _errors.ContainsKey(error.Kind) || _errors.Count < MaxKinds ? error.Kind : BenchErrors.Other;
            _errors[kind] = _errors.GetValueOrDefault(kind) + 1;
            if (_examples.Count < MaxExamples)
            {
                var message = error.Message;
                if (message.Length > MaxExampleChars)
                    message = string.Concat(message.AsSpan(0, MaxExampleChars), "…");
                _examples.Add($"{error.Kind}: {message}");
            }
        }
    }

    public BenchReport ToReport(BenchOptions options, string model)
    {
        lock (_gate)
        {
            return new BenchReport(
                options.Target.ToString(), model, options.Concurrency, Succeeded + _failed, Succeeded,
                new Dictionary<string, int>(_errors), time.GetElapsedTime(_start).TotalSeconds, _tokens, _tokensAreChunks,
                Latencies.FirstToken.Summary, Latencies.Gaps.Summary, Latencies.Ends.Summary, _failovers, _streamsFailedOver,
                Latencies.Failovers.Summary, Latencies.FailedOver.Summary, [.. _examples]);
        }
    }
}
