namespace Skein.Engines.Simulated;

/// <summary>
/// Latency of a server with continuous batching and chunked prefill. A step makes a token for each sequence whose prompt is read, and reads up to a chunk of
/// the oldest prompts. It takes <see cref="StepMs"/> + sequences x <see cref="SequenceMs"/> + prompt tokens / <see cref="PrefillTokensPerSecond"/>. The
/// laboratory of balancing policies has the same model in virtual time. Immutable.
/// </summary>
public sealed record SimulatedBatchOptions
{
    /// <summary>Time of a step without any sequence, in milliseconds. Above 0, to 10,000; default 15.</summary>
    public double StepMs { get; init; } = 15;

    /// <summary>Time that each further sequence adds to a step, in milliseconds. 0 to 10,000; default 0.4.</summary>
    public double SequenceMs { get; init; } = 0.4;

    /// <summary>Prompt tokens per second of a server that does nothing else. 1 to 100,000,000; default 20,000.</summary>
    public double PrefillTokensPerSecond { get; init; } = 20_000;

    /// <summary>Most prompt tokens of one step. 1 to 10,000,000; default 2,048.</summary>
    public int ChunkTokens { get; init; } = 2048;
}

/// <summary>
/// The steps that all streams of one engine share. A step counts from the end of the one before, not from the time at which its timer fired, so that late
/// timers do not lower the rate. Thread-safe.
/// </summary>
internal sealed class SimulatedBatch : IDisposable
{
    // How far a process that was stopped may catch up in one burst.
    private static readonly TimeSpan MostCatchUp = TimeSpan.FromMilliseconds(100);

    private readonly Lock _gate = new();
    private readonly SimulatedBatchOptions _options;
    private readonly TimeProvider _time;
    private readonly long _origin;
    private readonly ITimer _timer;
    private readonly List<Sequence> _prefilling = [];
    private readonly List<Sequence> _decoding = [];
    private readonly List<(Sequence Sequence, int Tokens)> _chunks = [];
    private TimeSpan _due;
    private bool _isStepping;

    public SimulatedBatch(SimulatedBatchOptions options, TimeProvider time)
    {
        (_options, _time, _origin) = (options, time, time.GetTimestamp());
        _timer = time.CreateTimer(_ => Fired(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>A stream joins with the next step.</summary>
    /// <param name="promptTokens">To read before its first token.</param>
    /// <param name="answerTokens">After these it leaves by itself.</param>
    public Sequence Add(int promptTokens, int answerTokens)
    {
        var sequence = new Sequence(this, promptTokens, answerTokens);
        lock (_gate)
        {
            _prefilling.Add(sequence);
            if (!_isStepping)
                Begin(Now);
        }

        return sequence;
    }

    public void Dispose() => _timer.Dispose();

    private void Fired()
    {
        lock (_gate)
        {
            while (_isStepping && _due <= Now)
            {
                End();
                var now = Now;
                Begin(_due < now - MostCatchUp ? now - MostCatchUp : _due);
            }

            if (_isStepping)
                Arm();
        }
    }

    /// <summary>Begins the next step, if there is anything to do.</summary>
    private void Begin(TimeSpan from)
    {
        _chunks.Clear();
        var chunk = _options.ChunkTokens;
        foreach (var sequence in _prefilling)
        {
            if (chunk == 0)
                break;
            var read = Math.Min(chunk, sequence.PromptLeft);
            _chunks.Add((sequence, read));
            chunk -= read;
        }

        var wasStepping = _isStepping;
        _isStepping = _chunks.Count > 0 || _decoding.Count > 0;
        if (!_isStepping)
            return;
        var prompt = _options.ChunkTokens - chunk;
        _due = from + TimeSpan.FromMilliseconds(
            _options.StepMs + (_decoding.Count * _options.SequenceMs) + (prompt * 1000 / _options.PrefillTokensPerSecond));
        if (!wasStepping)
            Arm();
    }

    // Timers count whole milliseconds: rounded up, a token is never early.
    private void Arm() => _timer.Change(
        TimeSpan.FromMilliseconds(Math.Max(0, Math.Ceiling((_due - Now).TotalMilliseconds))), Timeout.InfiniteTimeSpan);

    private void End()
    {
        for (var i = _decoding.Count - 1; i >= 0; i--)
        {
            _decoding[i].Generated();
            if (_decoding[i].AnswerLeft <= 0)
                _decoding.RemoveAt(i);
        }

        foreach ((var sequence, var tokens) in _chunks)
        {
            sequence.PromptLeft -= tokens;
            if (sequence.PromptLeft > 0 || !_prefilling.Remove(sequence))
                continue;
            sequence.Generated();
            if (sequence.AnswerLeft > 0)
                _decoding.Add(sequence);
        }
    }

    /// <summary>One stream in the batch. Disposing it takes it out. One reader.</summary>
    internal sealed class Sequence(SimulatedBatch batch, int promptTokens, int answerTokens) : IDisposable
    {
        private int _available;
        private TaskCompletionSource? _waiting;

        internal int PromptLeft { get; set; } = promptTokens;

        internal int AnswerLeft { get; private set; } = answerTokens;

        /// <summary>Waits for the next token.</summary>
        public Task NextAsync(CancellationToken cancellationToken)
        {
            Task next;
            lock (batch._gate)
            {
                if (_available > 0)
                {
                    _available--;
                    return Task.CompletedTask;
                }

                _waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                next = _waiting.Task;
            }

            return next.WaitAsync(cancellationToken);
        }

        public void Dispose()
        {
            lock (batch._gate)
            {
                batch._prefilling.Remove(this);
                batch._decoding.Remove(this);
            }
        }

        /// <summary>Called under the lock.</summary>
        internal void Generated()
        {
            AnswerLeft--;
            if (_waiting is { } waiting)
            {
                _waiting = null;
                waiting.TrySetResult();
            }
            else
            {
                _available++;
            }
        }
    }
}
