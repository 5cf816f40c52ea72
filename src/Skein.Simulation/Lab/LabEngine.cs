using Skein.Protocol;
using Skein.Simulation.Traces;

namespace Skein.Simulation.Lab;

/// <summary>
/// A server as <see cref="EngineModel"/> describes it. Steps in which nothing changes are computed together, so that an hour takes seconds. Not thread-safe.
/// </summary>
internal sealed class LabEngine : IDisposable
{
    /// <summary>Longest time for which steps are computed together: readers hear of tokens at least this often.</summary>
    private static readonly long LongestRunTicks = TimeSpan.FromSeconds(0.5).Ticks;

    private readonly EngineModel _model;
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly PrefixCache _cache;
    private readonly List<LabSequence> _prefilling = [];
    private readonly List<LabSequence> _decoding = [];
    private readonly List<LabSequence> _expected = [];
    private readonly List<(LabSequence Sequence, int Tokens)> _chunks = [];
    private long _begunAt;
    private long _stepTicks;
    private int _steps;

    public LabEngine(EngineModel model, TimeProvider time)
    {
        (_model, _time) = (model, time);
        _cache = new PrefixCache(model.CacheBlocks);
        _timer = time.CreateTimer(_ => EndSteps(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Factor on all speeds, for faults. Takes effect with the next step.</summary>
    public double Pace { get; set; } = 1;

    public WeightedTimes TokenGaps { get; } = new();

    public long ComputedTokens { get; private set; }

    private long Now => _time.GetTimestamp();

    public LabSequence Submit(LabRequest request, int firstIndex)
    {
        _expected.RemoveAll(expected => expected.Request == request);
        var sequence = new LabSequence(request, firstIndex);
        _prefilling.Add(sequence);
        if (_steps == 0)
        {
            BeginSteps();
        }
        else if (_steps > 1)
        {
            // The prompt is read from the next step on.
            _steps = StepsBegun();
            Arm();
        }
        return sequence;
    }

    /// <summary>A request is on its way here.</summary>
    public void Expect(LabRequest request) => _expected.Add(new LabSequence(request, firstIndex: 0));

    public void Remove(LabSequence sequence)
    {
        if (sequence.IsOver)
            return;
        sequence.IsOver = true;
        _prefilling.Remove(sequence);
        _decoding.Remove(sequence);
    }

    /// <summary>Loses everything, as a process that is killed.</summary>
    public void Fail()
    {
        foreach (var sequence in _prefilling.Concat(_decoding))
        {
            (sequence.IsOver, sequence.Fault) = (true, Fault.ConnectionLost);
            sequence.Tell(TimeSpan.FromTicks(Now));
        }
        _prefilling.Clear();
        _decoding.Clear();
        _chunks.Clear();
        _cache.Clear();
        _steps = 0;
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>When a request would finish if it were sent here now and nothing came after it.</summary>
    public TimeSpan FinishOf(LabRequest request)
    {
        var begun = _steps == 0 ? 0 : StepsBegun();
        var at = _steps == 0 ? Now : _begunAt + (begun * _stepTicks);
        List<int> decoding = [.. _decoding.Select(sequence => sequence.AnswerLeft - begun).Where(left => left > 0)];
        var queue = new List<(int Prompt, int Answer)>();
        foreach (var sequence in _prefilling.Concat(_expected).Append(new LabSequence(request, firstIndex: 0)))
        {
            var chunk = _chunks.Find(chunk => chunk.Sequence == sequence).Tokens;
            var cached = sequence.IsLookedUp ? 0 : CachedTokens(sequence);
            queue.Add((Math.Max(0, sequence.PromptLeft - cached - chunk), sequence.AnswerLeft));
        }
        for (var next = 0; next < queue.Count;)
        {
            var chunk = _model.ChunkTokens;
            var sequences = decoding.Count;
            var first = next;
            while (next < queue.Count && chunk > 0)
            {
                var read = Math.Min(chunk, queue[next].Prompt);
                chunk -= read;
                queue[next] = (queue[next].Prompt - read, queue[next].Answer);
                if (queue[next].Prompt > 0)
                    break;
                next++;
            }
            at += StepTicks(sequences, _model.ChunkTokens - chunk);
            for (var i = 0; i < decoding.Count; i++)
                decoding[i]--;
            for (var i = first; i < next; i++)
                decoding.Add(queue[i].Answer - 1);
            if (next == queue.Count)
                break;
            decoding.RemoveAll(left => left <= 0);
        }
        var own = decoding[^1];
        decoding.RemoveAt(decoding.Count - 1);
        decoding.Sort();
        // The others leave one by one, the shortest first, until this one is done.
        var done = 0;
        for (var i = 0; i <= decoding.Count && done < own; i++)
        {
            var until = i < decoding.Count ? Math.Min(own, Math.Max(done, decoding[i])) : own;
            at += (until - done) * StepTicks(decoding.Count - i + 1, 0);
            done = until;
        }
        return TimeSpan.FromTicks(at);
    }

    /// <summary>Prompt tokens of a request that need not be read here, once the prompts that came before it are read.</summary>
    public int CachedTokensOf(LabRequest request)
    {
        if (_model.CacheBlocks == 0)
            return 0;
        var blocks = request.Trace.Blocks;
        var found = _cache.Find(blocks);
        foreach (var before in _prefilling.Concat(_expected))
            found = Math.Max(found, Common(blocks, before.Request.Trace.Blocks));
        return Math.Min(found * TraceRequest.BlockTokens, request.Trace.PromptTokens - 1);

        static int Common(IReadOnlyList<int> left, IReadOnlyList<int> right)
        {
            var common = 0;
            while (common < left.Count && common < right.Count && left[common] == right[common])
                common++;
            return common;
        }
    }

    public void Dispose() => _timer.Dispose();

    private long StepTicks(int sequences, int promptTokens) => (long)(_model.StepTicks(sequences, promptTokens) / Pace);

    /// <summary>Steps of the current run that are over or have begun.</summary>
    private int StepsBegun() => (int)Math.Clamp(((Now - _begunAt) / _stepTicks) + 1, 1, _steps);

    private int CachedTokens(LabSequence sequence)
    {
        if (_model.CacheBlocks == 0)
            return 0;
        // As servers do, at least one token is read again.
        return Math.Min(_cache.Find(sequence.Request.Trace.Blocks) * TraceRequest.BlockTokens, sequence.PromptLeft - 1);
    }

    private void BeginSteps()
    {
        _chunks.Clear();
        var chunk = _model.ChunkTokens;
        foreach (var sequence in _prefilling)
        {
            if (chunk == 0)
                break;
            if (!sequence.IsLookedUp)
            {
                sequence.IsLookedUp = true;
                var cached = CachedTokens(sequence);
                sequence.PromptLeft -= cached;
                sequence.Request.CachedTokens = cached;
            }
            var read = Math.Min(chunk, sequence.PromptLeft);
            _chunks.Add((sequence, read));
            chunk -= read;
        }
        _begunAt = Now;
        _steps = 0;
        if (_chunks.Count == 0 && _decoding.Count == 0)
            return;
        _stepTicks = StepTicks(_decoding.Count, _model.ChunkTokens - chunk);
        _steps = 1;
        if (_chunks.Count == 0)
        {
            var shortest = int.MaxValue;
            foreach (var sequence in _decoding)
                shortest = Math.Min(shortest, sequence.AnswerLeft);
            _steps = (int)Math.Clamp(LongestRunTicks / _stepTicks, 1, shortest);
        }
        Arm();
    }

    private void Arm() => _timer.Change(TimeSpan.FromTicks(_begunAt + (_steps * _stepTicks) - Now), Timeout.InfiniteTimeSpan);

    private void EndSteps()
    {
        var now = TimeSpan.FromTicks(Now);
        TokenGaps.Add(_stepTicks, (long)_steps * _decoding.Count);
        for (var i = _decoding.Count - 1; i >= 0; i--)
        {
            var sequence = _decoding[i];
            Generate(sequence, _steps);
            if (sequence.IsOver)
                _decoding.RemoveAt(i);
            if (sequence.IsOver || now - sequence.ToldAt >= TimeSpan.FromTicks(LongestRunTicks))
                sequence.Tell(now);
        }
        foreach ((var sequence, var tokens) in _chunks)
        {
            if (sequence.IsOver)
                continue;
            sequence.PromptLeft -= tokens;
            ComputedTokens += tokens;
            if (sequence.PromptLeft > 0)
                continue;
            if (_model.CacheBlocks > 0)
                _cache.Add(sequence.Request.Trace.Blocks);
            _prefilling.Remove(sequence);
            Generate(sequence, 1);
            if (!sequence.IsOver)
                _decoding.Add(sequence);
            sequence.Tell(now);
        }
        BeginSteps();
    }

    private void Generate(LabSequence sequence, int tokens)
    {
        sequence.NextIndex += tokens;
        sequence.AnswerLeft -= tokens;
        sequence.IsOver = sequence.AnswerLeft <= 0;
        ComputedTokens += tokens;
    }
}
