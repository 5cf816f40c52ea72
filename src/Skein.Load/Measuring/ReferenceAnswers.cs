using System.Collections.Concurrent;

namespace Skein.Load.Measuring;

/// <summary>Expected text of each prompt: that of its first complete answer. Safe for concurrent calls.</summary>
internal sealed class ReferenceAnswers
{
    private const int ShownChars = 40;

    private readonly ConcurrentDictionary<int, string> _texts = new();

    /// <exception cref="BenchRequestException">The text differs from the first answer.</exception>
    public void Check(int prompt, string text)
    {
        var reference = _texts.GetOrAdd(prompt, text);
        if (string.Equals(reference, text, StringComparison.Ordinal))
            return;
        var at = reference.AsSpan().CommonPrefixLength(text);
        throw new BenchRequestException(
            BenchErrors.Diverged, $"prompt {prompt}: differs at character {at}: expected \"{Show(reference, at)}\", got \"{Show(text, at)}\"");
    }

    private static string Show(string text, int at) => text[at..Math.Min(text.Length, at + ShownChars)].ReplaceLineEndings(" ");
}
