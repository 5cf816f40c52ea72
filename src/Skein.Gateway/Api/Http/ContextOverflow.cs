using System.Text.RegularExpressions;

namespace Skein.Gateway.Api.Http;

/// <summary>
/// What an engine's refusal tells of a request that does not fit the context. Engines tell the size of the context, the length of the prompt and the length
/// that was asked for, each in words of its own and with further sums; the numbers are found by the word context, and by how they fit together.
/// </summary>
/// <param name="Prompt">Tokens of the prompt.</param>
/// <param name="Context">Tokens that the context holds.</param>
internal readonly partial record struct ContextOverflow(uint Prompt, uint Context)
{
    private const int MostNumbers = 16;

    /// <summary>Whether the prompt alone leaves no room for an answer.</summary>
    public bool IsOfPrompt => Prompt >= Context;

    /// <summary>Most tokens of an answer; 0 if the prompt leaves none.</summary>
    public uint Left => IsOfPrompt ? 0 : Context - Prompt;

    /// <param name="message">The refusal.</param>
    /// <param name="maxTokens">Tokens of the answer that were asked for; null: none were.</param>
    /// <returns>Null if the message does not tell.</returns>
    public static ContextOverflow? Read(string message, uint? maxTokens)
    {
        var answer = maxTokens ?? 0;
        var numbers = Number().Matches(message).Take(MostNumbers)
            .Select(match => uint.TryParse(match.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0)
            .Where(number => number > 0 && number != answer).ToHashSet();
        // Prompt and answer together.
        numbers.RemoveWhere(sum => sum > answer && answer > 0 && numbers.Contains(sum - answer));
        if (numbers.Count != 2)
            return null;
        var named = NamedContext().Match(message).Groups["tokens"].ValueSpan;
        var context = uint.TryParse(named, NumberStyles.None, CultureInfo.InvariantCulture, out var told) && numbers.Contains(told) ? told : numbers.Max();
        var prompt = numbers.Single(number => number != context);
        return prompt >= context || (ulong)prompt + answer > context ? new ContextOverflow(prompt, context) : null;
    }

    [GeneratedRegex("[0-9]+", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Number();

    [GeneratedRegex("context[^0-9]{1,40}(?<tokens>[0-9]+)", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex NamedContext();
}
