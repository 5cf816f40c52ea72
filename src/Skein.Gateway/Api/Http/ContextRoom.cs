using System.Text.RegularExpressions;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// Reads from an engine's refusal how many tokens of the context the prompt leaves. Engines tell the size of the context, the length of the prompt and the
/// length that was asked for, each in words of its own and with further sums; the numbers are found by how they fit together.
/// </summary>
internal static partial class ContextRoom
{
    private const int MostNumbers = 16;

    /// <param name="message">The refusal.</param>
    /// <param name="maxTokens">What was asked for.</param>
    /// <returns>At least 1; null if the message does not tell.</returns>
    public static uint? Left(string message, uint maxTokens)
    {
        var numbers = Number().Matches(message).Take(MostNumbers)
            .Select(match => ulong.TryParse(match.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0)
            .Where(number => number > 0 && number != maxTokens).ToHashSet();
        // Prompt and answer together.
        numbers.RemoveWhere(sum => sum > maxTokens && numbers.Contains(sum - maxTokens));
        if (numbers.Count != 2)
            return null;
        var (prompt, context) = (numbers.Min(), numbers.Max());
        return prompt + maxTokens > context && context - prompt < maxTokens ? (uint)(context - prompt) : null;
    }

    [GeneratedRegex("[0-9]+", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Number();
}
