using Skein.Engines.Embedded.Numerics;
using Skein.Engines.Embedded.Tokens;

namespace Skein.Engines.Embedded.Sampling;

/// <summary>Log probabilities of the model, before bias, penalties and temperature.</summary>
internal static class Logprobs
{
    /// <summary>The log probability of the chosen token, and those of the <paramref name="top"/> likeliest ones.</summary>
    public static TokenLogprob Of(ReadOnlySpan<float> logits, int chosen, int top, Vocabulary vocabulary)
    {
        var powers = logits.ToArray();
        var sum = Elementwise.Exponentiate(powers);
        var likeliest = Likeliest(logits, Math.Max(top, 1));
        var normalizer = logits[likeliest[0]] + (float)PortableMath.Ln(sum);
        var result = Entry(chosen, logits[chosen] - normalizer, vocabulary);
        foreach (var id in likeliest[..top])
            result.Top.Add(Entry(id, logits[id] - normalizer, vocabulary));

        return result;
    }

    private static TokenLogprob Entry(int id, float logprob, Vocabulary vocabulary) =>
        new() { TokenId = (uint)id, Token = ByteString.CopyFrom(vocabulary.BytesOf(id)), Logprob = logprob };

    // Insertion into a short sorted list. Of equally likely tokens the lower id comes first.
    private static int[] Likeliest(ReadOnlySpan<float> logits, int count)
    {
        var best = new int[Math.Min(count, logits.Length)];
        var filled = 0;
        for (var id = 0; id < logits.Length; id++)
        {
            if (filled == best.Length && logits[id] <= logits[best[^1]])
                continue;

            var place = filled < best.Length ? filled++ : filled - 1;
            for (; place > 0 && logits[best[place - 1]] < logits[id]; place--)
                best[place] = best[place - 1];

            best[place] = id;
        }

        return best;
    }
}
