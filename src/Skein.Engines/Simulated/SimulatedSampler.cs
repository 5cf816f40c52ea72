namespace Skein.Engines.Simulated;

/// <summary>
/// Chooses the tokens of one answer: a pure function of model and prompt, sampling, position and the tokens before it. Not safe for concurrent use.
/// </summary>
internal sealed class SimulatedSampler
{
    private const int CandidatesPerPosition = 8;
    private const double FirstLogit = 4;
    private const double LogitStep = 0.7;

    private readonly ulong _promptKey;
    private readonly ulong _seedKey;
    private readonly Sampling _sampling;
    private readonly double _temperature;
    private readonly double _repetition;
    private readonly Dictionary<uint, int>? _counts;
    private readonly Candidate[] _candidates;
    private int _count;
    private uint? _previous;

    public SimulatedSampler(ulong promptKey, Sampling? sampling)
    {
        _sampling = sampling ?? new Sampling();
        _promptKey = promptKey;
        _seedKey = SplitMix.Mix(promptKey, _sampling.Seed);
        _temperature = _sampling.HasTemperature ? _sampling.Temperature : 1;
        _repetition = _sampling.HasRepetitionPenalty ? _sampling.RepetitionPenalty : 1;
        _counts = _sampling.PresencePenalty != 0 || _sampling.FrequencyPenalty != 0 || _repetition != 1 ? [] : null;
        _candidates = new Candidate[CandidatesPerPosition + _sampling.LogitBias.Count];
    }

    /// <summary>The next token, which is not yet part of the answer.</summary>
    public uint Choose(int index)
    {
        Rank(index);
        return _candidates[_temperature == 0 ? 0 : Draw(index)].Id;
    }

    /// <summary>Makes a token, chosen here or by an earlier attempt, part of the answer.</summary>
    public void Append(uint id)
    {
        _previous = id;
        if (_counts is not null)
            _counts[id] = _counts.GetValueOrDefault(id) + 1;
    }

    /// <summary>Log probability of the token last chosen, and of the <paramref name="top"/> most likely ones.</summary>
    public TokenLogprob Describe(uint id, int top)
    {
        var ranked = _candidates.Take(_count);
        var best = _candidates[0].Logit;
        var shift = best + Math.Log(ranked.Sum(candidate => Math.Exp(candidate.Logit - best)));
        var chosen = LogprobOf(ranked.First(candidate => candidate.Id == id), shift);
        chosen.Top.Add(ranked.Take(top).Select(candidate => LogprobOf(candidate, shift)));
        return chosen;
    }

    private static TokenLogprob LogprobOf(Candidate candidate, double shift)
    {
        Span<byte> scratch = stackalloc byte[SimulatedVocabulary.BytesPerPromptToken];
        return new TokenLogprob
        {
            TokenId = candidate.Id,
            Token = ByteString.CopyFrom(SimulatedVocabulary.BytesOf(candidate.Id, scratch)),
            Logprob = (float)(candidate.Logit - shift),
        };
    }

    // Most likely first; of equally likely ones the lower id.
    private void Rank(int index)
    {
        _count = 0;
        if (_previous is { } previous && SimulatedVocabulary.IsLead(previous))
        {
            _candidates[_count++] = new Candidate(previous + 1, FirstLogit);
            return;
        }

        var words = SimulatedVocabulary.At(index);
        var position = SplitMix.Mix(_promptKey, (ulong)index);
        for (var i = 0; i < CandidatesPerPosition; i++)
        {
            var id = words[(int)(SplitMix.Mix(position, (ulong)i) % (ulong)words.Length)];
            if (!IsCandidate(id))
                _candidates[_count++] = new Candidate(id, FirstLogit - (LogitStep * i));
        }

        foreach (var (id, bias) in _sampling.LogitBias)
        {
            if (bias > 0 && !IsCandidate(id))
                _candidates[_count++] = new Candidate(id, 0);
        }

        var ranked = _candidates.AsSpan(0, _count);
        foreach (ref var candidate in ranked)
            candidate = candidate with { Logit = Adjust(candidate) };

        ranked.Sort(static (a, b) => a.Logit != b.Logit ? b.Logit.CompareTo(a.Logit) : a.Id.CompareTo(b.Id));
    }

    private bool IsCandidate(uint id)
    {
        foreach (var candidate in _candidates.AsSpan(0, _count))
        {
            if (candidate.Id == id)
                return true;
        }

        return false;
    }

    private double Adjust(Candidate candidate)
    {
        var logit = candidate.Logit;
        if (_counts is not null && _counts.TryGetValue(candidate.Id, out var times))
        {
            logit = logit > 0 ? logit / _repetition : logit * _repetition;
            logit -= _sampling.PresencePenalty + (times * (double)_sampling.FrequencyPenalty);
        }

        return _sampling.LogitBias.TryGetValue(candidate.Id, out var bias) ? logit + bias : logit;
    }

    // Temperature, then top_k, top_p and min_p; then the inverse of the distribution at a point that depends on (seed, position) alone.
    private int Draw(int index)
    {
        var kept = _sampling.TopK == 0 ? _count : Math.Min(_count, (int)Math.Min(_sampling.TopK, int.MaxValue));
        var total = 0d;
        for (var i = 0; i < kept; i++)
            total += Weight(i);

        var topP = _sampling.HasTopP ? _sampling.TopP : 1;
        var sum = 0d;
        for (var i = 0; i < kept; i++)
        {
            if (i > 0 && (sum >= topP * total || Weight(i) < _sampling.MinP))
            {
                kept = i;
                break;
            }

            sum += Weight(i);
        }

        var point = SplitMix.ToUnit(SplitMix.Mix(_seedKey, (ulong)index)) * sum;
        for (var i = 0; i < kept - 1; i++)
        {
            point -= Weight(i);
            if (point < 0)
                return i;
        }

        return kept - 1;
    }

    // Relative to the most likely token, which has 1.
    private double Weight(int rank) => Math.Exp((_candidates[rank].Logit - _candidates[0].Logit) / _temperature);

    private readonly record struct Candidate(uint Id, double Logit);
}
