using Skein.Engines.Embedded.Numerics;

namespace Skein.Engines.Embedded.Sampling;

/// <summary>
/// Chooses one answer's tokens. The order is: bias, penalties, temperature, top-k, top-p, min-p. The choice is a function of the logits, the
/// rules and the tokens before; of equally likely tokens the lower id comes first. Not safe for concurrent use.
/// </summary>
internal sealed class Sampler
{
    private const float LargestLogit = 1e30f; // penalties may scale logits beyond the range of a softmax

    private readonly SamplingRules _rules;
    private readonly Dictionary<int, int> _answerCounts = [];
    private readonly HashSet<int> _seen = [];
    private readonly Candidates _candidates;

    public Sampler(SamplingRules rules, IEnumerable<int> prompt, int vocabulary)
    {
        _rules = rules;
        _candidates = new Candidates(rules.Temperature > 0 ? vocabulary : 0);
        if (rules.RepetitionPenalty != 1)
            _seen.UnionWith(prompt);
    }

    public void Accept(int id)
    {
        _answerCounts[id] = _answerCounts.GetValueOrDefault(id) + 1;
        _seen.Add(id);
    }

    /// <summary>Chooses the answer's token at <paramref name="position"/>. Changes <paramref name="logits"/>.</summary>
    public int Choose(Span<float> logits, int position)
    {
        foreach (var (id, bias) in _rules.Bias)
            logits[id] += bias;

        Penalize(logits);
        if (_rules.Temperature == 0)
            return Likeliest(logits);

        var sum = Elementwise.Exponentiate(logits, _rules.Temperature);
        return _candidates.Draw(logits, sum, _rules, SplitMix.Unit(_rules.Seed, position));
    }

    private void Penalize(Span<float> logits)
    {
        if (_rules.RepetitionPenalty != 1)
        {
            foreach (var id in _seen)
            {
                var scaled = logits[id] > 0 ? logits[id] / _rules.RepetitionPenalty : logits[id] * _rules.RepetitionPenalty;
                logits[id] = Math.Clamp(scaled, -LargestLogit, LargestLogit);
            }
        }

        if (_rules.PresencePenalty != 0 || _rules.FrequencyPenalty != 0)
        {
            foreach (var (id, count) in _answerCounts)
                logits[id] -= (count * _rules.FrequencyPenalty) + _rules.PresencePenalty;
        }
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        var best = 0;
        for (var id = 1; id < logits.Length; id++)
            best = logits[id] > logits[best] ? id : best;

        return best;
    }
}
